// Explanation: what one forward pass shows about one picture: the answer, attention rollout, and
// every layer's queries, keys and log-sum-exp, from which any attention row follows exactly.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "explain/rollout.h"
#include "image/image.h"
#include "image/preprocess/preprocess.h"
#include "infer/session.h"
#include "nn/token_layout.h"

namespace vitrail {

// One attention layer of one sample: P = exp(scale * q k^T - lse).
struct LayerAttention {
  std::string path;  // "blocks.3.attn"
  int64_t heads = 0, head_dim = 0;
  float scale = 1;
  Tensor q, k;  // [H, N, d]
  Tensor lse;   // [H, N]
};

struct Explanation {
  TokenLayout layout;
  Image photo;                  // RGB, as the model's loader oriented it
  PreprocessResult geometry;    // which part of the photo the model saw
  std::vector<float> logits;    // empty: a model without a head
  std::vector<float> features;  // what the head reads; empty with them
  RolloutOptions rollout_options;
  bool from_class_token =
      true;                    // what the rollout starts from: the class token, or a mean of tokens
  std::vector<float> rollout;  // [N], prefix tokens first
  std::vector<LayerAttention> layers;
};

// Error (unsupported): a model without attention.
void check_explainable(const Model& model);

// `photo` as load_picture(path, session.preprocess().decode_options()) gives it.
// Error: what preprocessing or the rollout refuses; attention with a bias, which q, k and lse alone
// do not determine.
Explanation explain_picture(Session& session, const Image& photo,
                            const RolloutOptions& options = {});

// What `token` attends to in one head, [N]. Error: a head or token out of range.
std::vector<float> attention_row(Queue& queue, const LayerAttention& layer, int64_t head,
                                 int64_t token);

// Values over patches, row by row.
struct PatchMap {
  int64_t height = 0, width = 0;
  std::vector<float> values;
};
// The patches' part of values over tokens [N]. Error: another number of tokens.
PatchMap patch_map(const TokenLayout& layout, const std::vector<float>& row);

}  // namespace vitrail
