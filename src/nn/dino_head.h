// The projection head of DINO (Caron et al., "Emerging properties in self-supervised vision
// transformers", ICCV 2021, section 3.1): three layers with GELU, a bottleneck of length one, and a
// weight-normalised last layer. Names are the authors': mlp.{0,2,4}, last_layer.weight_{g,v}.
#pragma once

#include <array>
#include <cstdint>

#include "nn/linear.h"

namespace vitrail {

struct DinoHeadConfig {
  int64_t inputs = 0, hidden = 2048, bottleneck = 256, outputs = 65536;
};

class DinoHead {
 public:
  DinoHead(const Scope& scope, const DinoHeadConfig& config);
  // [B, inputs] to [B, outputs]. With last_layer_frozen, that layer gets no gradient. The gain
  // weight_g stays 1, as the authors' norm_last_layer has it.
  Variable forward(const Context& context, const Variable& x, bool last_layer_frozen = false) const;

 private:
  std::array<LinearSlot, 3> mlp_;
  Parameter &gain_, &direction_;
  std::string weight_path_;
};

}  // namespace vitrail
