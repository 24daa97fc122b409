// The projection to q, k and v where q and v alone have a bias (Bao et al. 2022, BEiT; EVA,
// Swin v2): without rotary positions a bias of k adds the same to all scores of a query.
#pragma once

#include "nn/linear.h"

namespace vitrail {

class QueryValueLinear : public Linear {
 public:
  // "qkv.weight" [3 * width, inputs], "q_bias" and "v_bias" [width] in the scope of an attention.
  QueryValueLinear(const Scope& attention, int64_t inputs, int64_t width);
  // The two biases with zeros between them are the product's: no other pass over the tokens.
  Variable forward(const Context& context, const LinearInput& input,
                   const LinearEpilogue& epilogue = {}) const override;
  // [3 * width]; its gradient is that of q_bias and v_bias.
  Variable joined_bias(const Context& context) const;

 private:
  std::string bias_path_;
  int64_t width_;
  Parameter &q_bias_, &v_bias_;
};

}  // namespace vitrail
