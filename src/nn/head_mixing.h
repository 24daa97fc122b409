// What mixes the heads of an attention (kernels/attention_mixing.h), as the families store it.
#pragma once

#include <optional>

#include "nn/norm.h"
#include "nn/variants.h"
#include "ops/attention.h"

namespace vitrail {

class HeadMixer {
 public:
  // Below the attention's own scope. Of kind none it has no parameters and changes nothing.
  HeadMixer(const Scope& attention, HeadMixingKind kind, int64_t heads);
  // The options refer to what lives as long as this.
  void add_to(const Context& context, AttentionOptions* options) const;
  // Of one query and key, all heads.
  int64_t multiply_adds() const;

 private:
  HeadMixingKind kind_;
  int64_t heads_;
  Parameter* before_ = nullptr;
  Parameter* before_bias_ = nullptr;
  Parameter* after_ = nullptr;
  Parameter* after_bias_ = nullptr;
  std::optional<LayerNormWeights> norm_;
};

}  // namespace vitrail
