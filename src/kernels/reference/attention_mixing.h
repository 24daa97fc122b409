// Double-precision attention of mixed heads (kernels/attention_mixing.h), every weight stored.
#pragma once

#include <vector>

#include "kernels/reference/attention.h"

namespace vitrail::kernels::reference {

// [H, H] and [H]; empty: the step is left out.
struct MixingInput {
  std::vector<double> before, before_bias, after, after_bias, norm_weight, norm_bias;
  double norm_epsilon = 1e-5;
};
struct MixedResult {
  std::vector<double> o;        // [B, H, Nq, d]
  std::vector<double> weights;  // [B, H, Nq, Nk]
};
// Of q, k, v and the scale; the input's other fields are not read.
MixedResult mixed_attention(const AttentionInput& input, const MixingInput& mixing);

}  // namespace vitrail::kernels::reference
