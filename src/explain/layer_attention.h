// LayerAttention: one attention layer of one picture, as it ran: queries, keys and log-sum-exp in
// the order of their tokens, and what was added to the scores, so that any row follows exactly.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/queue.h"
#include "nn/token_layout.h"
#include "ops/attention_probe.h"

namespace vitrail {

// Where the tokens of one side, queries or keys, are found in windows and groups: i32 [N], each
// undefined where there are none.
struct TokenPlacement {
  Tensor window;  // a query sees the keys of its own window alone
  Tensor place;   // its number within the window, by which relative positions are looked up
  Tensor group;   // `penalty` is added between different ones
};

// What is added to scale * q k^T: a sum of terms, each absent where its tensor is undefined
// (kernels/attention_bias.h has the formulas), and which keys a query sees.
struct ScoreTerms {
  TokenPlacement query, key;
  float penalty = 0;

  Tensor table;                   // [entries, H], by relative position
  Tensor index;                   // i32 [n, n]: its entry, -1: none; or by the rule:
  Tensor query_entry, key_entry;  // i32 [n]: the entry is their difference
  int64_t prefix = 0;             // tokens in front with the entries
  int64_t prefix_to_token = -1, token_to_prefix = -1, prefix_to_prefix = -1;

  Tensor rows, columns;  // [2 * height - 1, d], [2 * width - 1, d]: multiplied with q
  int64_t height = 0, width = 0;

  Tensor slopes;                    // [H], times the distance
  Tensor query_places, key_places;  // [N, 2]
  int64_t distance_prefix = 0;

  Tensor dense;   // [H or 1, Nq, Nk]
  Tensor by_key;  // [H or 1, Nk]

  bool present() const {
    return query.window.defined() || query.group.defined() || table.defined() || rows.defined() ||
           slopes.defined() || dense.defined() || by_key.defined();
  }
};

// How heads are mixed (kernels/attention_mixing.h); each is undefined where its step is left out.
struct MixedHeads {
  Tensor before, before_bias, after, after_bias, norm_weight, norm_bias;
  float norm_epsilon = 0;
  bool present() const { return before.defined() || after.defined() || norm_weight.defined(); }
};

// P = exp(scale * q k^T + terms - lse), or where heads are mixed the weights that these have then:
// they may be negative and add up to anything.
struct LayerAttention {
  std::string path;  // "blocks.3.attn"
  int64_t heads = 0, head_dim = 0;
  float scale = 1;
  Tensor q, k;  // [H, Nq, d], [H, Nk, d]
  Tensor lse;   // [H, Nq]; undefined where heads are mixed
  int64_t stage = 0;
  TokenLayout queries, keys;  // the stage's tokens, or what its keys were reduced to
  ScoreTerms terms;
  MixedHeads mixing;
  // Grids were padded to whole windows: some of a row may have gone to padding, which is no token.
  bool padded = false;
};

// The first sample of a layer that was kept. Error (unsupported): scores with what no picture
// model has (causal, hidden keys), grids that do not fit what ran.
LayerAttention layer_attention(Queue& queue, const AttentionRecord& record, int64_t stage,
                               const TokenLayout& queries, const TokenLayout& keys);

// What `token` attends to in one head, [Nk]; keys that it cannot see have 0. With windows it may
// add up to less than 1: the rest went to padding. Error: a head or token out of range.
std::vector<float> attention_row(Queue& queue, const LayerAttention& layer, int64_t head,
                                 int64_t token);

// How much each key is attended to: the mean of all rows of all heads, [Nk].
std::vector<float> mean_row(Queue& queue, const LayerAttention& layer);

}  // namespace vitrail
