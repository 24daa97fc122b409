// How each parameter is trained: weight decay by the field's convention, layer-wise learning rates,
// frozen paths.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nn/registry.h"

namespace vitrail {

struct Trained {
  Parameter* parameter = nullptr;
  double weight_decay = 0;
  bool decayed = false;  // by the convention, however large the decay is
  double rate = 1;       // of the learning rate
};

struct GroupOptions {
  double weight_decay = 0;
  bool decay_all = false;
  double layer_decay = 1;  // 1: one learning rate for all
};

// The trainable parameters, in the registry's order.
std::vector<Trained> trained_parameters(const ParameterRegistry& parameters,
                                        const GroupOptions& options);

// The layer of a parameter, as timm groups them (after Bao et al., "BEiT", 2022): 0 what makes the
// tokens, i + 1 block i, `depth` the final norm, depth + 1 pooling, heads and what is trained
// beside the model. The learning rate is multiplied by layer_decay^(depth + 1 - layer).
int64_t layer_of(const ParameterPlace& place, int64_t depth);

// Stops training the parameters whose path matches one of the patterns ("blocks.0.*,patch_embed*":
// * is any text, ? any letter). Returns how many. Error: a pattern that matches nothing, or nothing
// is left to train.
int64_t freeze(ParameterRegistry& parameters, const std::string& patterns);

}  // namespace vitrail
