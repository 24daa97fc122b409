#include "nn/normed_mlp.h"

namespace vitrail {

// The second norm begins at 0, so that a block begins as its shortcut.
NormedMlp::NormedMlp(const Scope& scope, const NormedMlpConfig& config)
    : config_(config),
      path_(scope.path()),
      ln1_(scope.child("ln1"), config.inputs, config.hidden,
           {.names = {}, .pointwise = config.pointwise, .norm = {}}),
      ln2_(scope.child("ln2"), config.hidden, config.inputs,
           {.names = {}, .pointwise = config.pointwise, .norm = {.first_weight = 0}}) {}

Variable NormedMlp::forward(const Context& context, const Variable& x,
                            const LinearEpilogue& epilogue) const {
  return ln2_.forward(context, ln1_.forward(context, x, {.activation = config_.activation}),
                      epilogue);
}

LayerCost NormedMlp::cost(int64_t tokens) const {
  return {.path = path_,
          .output = {tokens, config_.inputs},
          .multiply_adds = 2 * tokens * config_.inputs * config_.hidden,
          .values = tokens * (2 * config_.inputs + config_.hidden)};
}

}  // namespace vitrail
