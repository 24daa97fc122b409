// A fused projection to q, k and v whose keys have no bias; q's and v's are parameters of their own
// (Liu et al. 2022, Swin v2; Bao et al. 2022, BEiT).
#pragma once

#include "nn/joint_cache.h"
#include "nn/linear.h"

namespace vitrail {

class QkvLinear : public Linear {
 public:
  // Parameters: "qkv.weight" [3 * width, inputs], "q_bias" and "v_bias" [width] in the scope, which
  // is the attention's.
  QkvLinear(const Scope& scope, int64_t inputs, int64_t width);

  Variable forward(const Context& context, const LinearInput& input,
                   const LinearEpilogue& epilogue = {}) const override;
  // [3 * width]: what the projection makes of zeros.
  Variable joined_bias(const Context& context) const;

 private:
  // Without a tape: a bias that the product adds, made once for each version of the two.
  std::shared_ptr<const Parameter> fused() const;
  Parameter &q_bias_, &v_bias_;
  JointCache<std::shared_ptr<const Parameter>> fused_;
};

}  // namespace vitrail
