#include "nn/mlp.h"

#include "ops/activation.h"
#include "ops/dropout.h"

namespace vitrail {

Mlp::Mlp(const Scope& scope, const MlpConfig& config) : config_(config), path_(scope.path()) {
  const Linear::Options options{.bias = config.bias,
                                .bias_value = Initializer::truncated_normal(1e-6)};
  if (config.kind == MlpKind::gated_split) {
    fc1_gate_ = LinearSlot(scope.child("fc1_g"), config.inputs, config.hidden, options);
    fc1_value_ = LinearSlot(scope.child("fc1_x"), config.inputs, config.hidden, options);
  } else {
    const int64_t outputs = config.kind == MlpKind::plain ? config.hidden : 2 * config.hidden;
    fc1_ = LinearSlot(scope.child("fc1"), config.inputs, outputs, options);
  }
  if (config.hidden_norm) norm_.emplace(scope.child("norm"), config.hidden, config.epsilon);
  fc2_ = LinearSlot(scope.child("fc2"), config.hidden, config.inputs, options);
}

Variable Mlp::hidden(const Context& context, const Variable& x) const {
  switch (config_.kind) {
    case MlpKind::plain:
      return fc1_->forward(context, x, {.activation = config_.activation});
    case MlpKind::gated_split:
      return gate(context, fc1_gate_->forward(context, x), fc1_value_->forward(context, x),
                  config_.activation);
    case MlpKind::gated_packed:
    case MlpKind::gated_packed_gate_last:
      break;
  }
  return gate_packed(context, fc1_->forward(context, x), config_.activation,
                     config_.kind == MlpKind::gated_packed_gate_last);
}

Variable Mlp::forward(const Context& context, const Variable& x,
                      const LinearEpilogue& epilogue) const {
  Variable h = dropout(context, hidden(context, x), config_.dropout, path_ + ".dropout1");
  if (norm_) h = norm_->forward(context, h);
  return fc2_->forward(context, h, epilogue);
}

}  // namespace vitrail
