// What attention is told beside q, k and v: windows of a grid as sequences, biases of its scores by
// position, heads that are mixed, norms and rotations of q and k. Each is a description that the
// kernels read (kernels/attention_bias.h, kernels/attention_operands.h); where it holds a Variable
// that was learned, attention gives its gradient.
#pragma once

#include <limits>

#include "autograd/context.h"
#include "kernels/attention.h"
#include "ops/layer_norm.h"

namespace vitrail {

// A grid of tokens cut into windows, each a sequence of its own (Liu et al. 2021, section 3.2).
struct WindowGrid {
  int64_t grid_height = 0, grid_width = 0;
  int64_t window_height = 0, window_width = 0;
  // The grid is rolled by so much before it is cut, so that windows reach over the borders of those
  // of the layer before. What meets in one window from two ends of the picture does not mix.
  int64_t shift_height = 0, shift_width = 0;
  // Where the grid is no multiple of a window it is padded below and on the right: before it is
  // rolled (transformers, the original) or after (timm).
  bool rolls_first = false;
  // What is added to scores between parts that do not mix: -100 in the families' libraries.
  float penalty = -std::numeric_limits<float>::infinity();
};
struct AttentionWindows {
  int64_t windows = 0;  // of a sample
  int64_t tokens = 0;   // of a window, padding included
  int64_t memory = 0;   // tokens of a sample
  Tensor rows;          // i32 [windows, tokens]: which of the sample's tokens, -1: padding
  Tensor groups;        // i32 [windows, tokens]: what mixes; undefined: all of a window
  float penalty = 0;

  // The window that a token of the sample is in, and its place there: where its row of the exact
  // maps is found. Error: no window has it.
  struct Place {
    int64_t window, token;
  };
  Place place_of(int64_t token) const;
};
// Error: no grid, no window, a shift that is not smaller than the window.
AttentionWindows windows_of_grid(const WindowGrid& grid);

// Which entry of a table of biases a pair of tokens has.
struct RelativeIndex {
  int64_t entries = 0;
  Tensor index;                    // i32 [Nq, Nk]; undefined: by the rule
  Tensor query_entry, key_entry;   // i32 [N]: the entry is their difference
  int64_t prefix = 0;              // tokens in front that have entries of their own
  bool prefix_has_entries = true;  // false: nothing is added to their scores
  int64_t queries() const { return index.defined() ? index.size(0) : query_entry.numel(); }
  int64_t keys() const { return index.defined() ? index.size(1) : key_entry.numel(); }
};
// A grid's, (2h - 1)(2w - 1) entries by (y_i - y_j, x_i - x_j), and behind them, with a prefix,
// three more: from the prefix to a token, to it, within it (Bao et al. 2022, BEiT).
RelativeIndex relative_grid(int64_t height, int64_t width, int64_t prefix = 0,
                            bool prefix_has_entries = true);
// Any other: index [Nq, Nk] of entries, -1 where nothing is added. Error: an entry out of range.
RelativeIndex relative_index(const Tensor& index, int64_t entries);

struct RelativeBias {
  Variable table;  // [entries, H]
  RelativeIndex index;
};

// One table for rows and one for columns, multiplied with q (kernels/attention_bias.h).
struct DecomposedBias {
  Variable rows;     // [2*height - 1, d]
  Variable columns;  // [2*width - 1, d]
  int64_t height = 0, width = 0;
};

// -slopes[h] times the distance of two tokens.
struct DistanceBias {
  Variable slopes;                  // [H]
  Tensor query_places, key_places;  // [N, 2]: y and x
  int64_t prefix = 0;               // tokens in front that have no place
};
// The places of a grid's tokens behind a prefix, [prefix + height * width, 2].
Tensor grid_places(int64_t height, int64_t width, int64_t prefix = 0);

// Tokens that do not mix: groups i32 [periods, N], of sequence b row b % periods.
struct GroupBias {
  Tensor query_groups, key_groups;
  float penalty = -std::numeric_limits<float>::infinity();
};

// Heads that talk to each other (kernels/attention_mixing.h). Each may be learned; undefined: the
// step is left out.
struct HeadMixingWeights {
  Variable before, before_bias;  // [H, H] and [H]: row g is what becomes of head g
  Variable after, after_bias;
  const LayerNormWeights* norm = nullptr;  // over the heads, of the mixed weights
  bool drops_before = false;               // dropout comes before weights are mixed, not after
  bool present() const { return before.defined() || after.defined() || norm != nullptr; }
};

// A norm of the d values of each head of q or k.
struct HeadNormalization {
  kernels::HeadNormKind kind = kernels::HeadNormKind::none;
  Variable weight, bias;  // [d]; undefined: ones and zeros
  Variable gain;          // [H]; undefined: ones
  double epsilon = 1e-6;
};
// The gain exp(min(x, most)) of a learned logarithm [H] (Liu et al. 2022, Swin v2: most is ln 100).
Variable exponential_gain(const Context& context, const Variable& x, double most);

// Turns pairs of q's and k's values by an angle that a token's place has.
struct RotaryPositions {
  Variable angles;      // [1 or H, N - prefix, d/2]
  Tensor cosine, sine;  // of the angles
  int64_t prefix = 0;   // tokens in front that are left alone
  bool interleaved = false;
};
RotaryPositions rotary_positions(const Variable& angles, int64_t prefix, bool interleaved);

// Angles y * frequencies[0] + x * frequencies[1] of places [N, 2] (y, x) with frequencies
// [2, H, d/2] that may be learned: [H, N, d/2] (Heo et al. 2024, RoPE-Mixed; axial where one of a
// pair's two frequencies is 0).
Variable rotary_angles(const Context& context, const Tensor& places, const Variable& frequencies);

}  // namespace vitrail
