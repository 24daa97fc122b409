// Heads of attention that talk to each other: their scores are mixed before softmax, their weights
// after it (Shazeer et al. 2020, "Talking-Heads Attention", section 4; Touvron et al. 2021, CaiT;
// Zhou et al. 2021, DeepViT, whose mixed weights are normalised over the heads).
//
//   S'_g = sum over h of before[g, h] S_h + before_bias[g],   S_h = scale * Q_h K_h^T
//   P_h  = softmax over keys (S'_h)
//   W_g  = sum over h of after[g, h] P_h + after_bias[g]
//   W_g  = LayerNorm over g (W), where norm_weight is not null
//   O_g  = W_g V_g
//
// Each step is left out where it has no matrix. Weights need not sum to 1, nor be positive.
#pragma once

namespace vitrail::kernels {

struct HeadMixing {
  const float* before = nullptr;       // [H, H]; null: scores are not mixed
  const float* before_bias = nullptr;  // [H]; null: zeros
  const float* after = nullptr;        // [H, H]; null: weights are not mixed
  const float* after_bias = nullptr;   // [H]
  const float* norm_weight = nullptr;  // [H]; null: no norm
  const float* norm_bias = nullptr;    // [H]; with the weight
  float norm_epsilon = 1e-5f;
  bool present() const { return before != nullptr || after != nullptr || norm_weight != nullptr; }
};

}  // namespace vitrail::kernels
