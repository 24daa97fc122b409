#include "nn/mlp.h"

#include <algorithm>

#include "ops/activation.h"
#include "ops/dropout.h"

namespace vitrail {
namespace {

// The hidden layer of so many tokens stays in L3, while each block reads the weights once more: a
// hundredth of the time that its products take.
constexpr int64_t kBlockRows = 1024;

}  // namespace

Mlp::Mlp(const Scope& scope, const MlpConfig& config) : config_(config), path_(scope.path()) {
  const Linear::Options options{.bias = config.bias,
                                .pointwise = config.pointwise,
                                .bias_value = Initializer::truncated_normal(1e-6)};
  if (config.kind == MlpKind::gated_split) {
    fc1_gate_ = LinearSlot(scope.child("fc1_g"), config.inputs, config.hidden, options);
    fc1_value_ = LinearSlot(scope.child("fc1_x"), config.inputs, config.hidden, options);
  } else {
    const int64_t outputs = config.kind == MlpKind::plain ? config.hidden : 2 * config.hidden;
    fc1_ = LinearSlot(scope.child("fc1"), config.inputs, outputs, options);
  }
  if (config.hidden_norm)
    norm_.emplace(scope.child("norm"), config.hidden, config.epsilon, config.norm);
  Linear::Options last = options;
  last.bias = config.bias && config.output_bias;
  fc2_ = LinearSlot(scope.child("fc2"), config.hidden, config.inputs, last);
}

Variable Mlp::hidden(const Context& context, const LinearInput& input) const {
  switch (config_.kind) {
    case MlpKind::plain:
      return fc1_->forward(context, input, {.activation = config_.activation});
    case MlpKind::gated_split: {
      const Variable x = input.value(context);
      return gate(context, fc1_gate_->forward(context, x), fc1_value_->forward(context, x),
                  config_.activation);
    }
    case MlpKind::gated_packed:
    case MlpKind::gated_packed_gate_last:
      break;
  }
  return gate_packed(context, fc1_->forward(context, input), config_.activation,
                     config_.kind == MlpKind::gated_packed_gate_last);
}

Variable Mlp::all_rows(const Context& context, const LinearInput& input,
                       const LinearEpilogue& epilogue) const {
  Variable h = dropout(context, hidden(context, input), config_.dropout, path_ + ".dropout1");
  if (norm_) h = norm_->forward(context, h);
  return fc2_->forward(context, h, epilogue);
}

Variable Mlp::forward(const Context& context, const LinearInput& input,
                      const LinearEpilogue& epilogue) const {
  const Variable& x = input.x();
  const int64_t width = config_.inputs, rows = width == 0 ? 0 : x.value().numel() / width;
  const int64_t blocks = (rows + kBlockRows - 1) / kBlockRows;
  if (context.tape != nullptr || context.dropout || blocks <= 1)
    return all_rows(context, input, epilogue);
  const Tensor y =
      epilogue.destination == nullptr ? Tensor::empty(x.shape()) : *epilogue.destination;
  const auto flat = [&](const Tensor& tensor) { return tensor.reshape({rows, width}); };
  const int64_t step = (rows + blocks - 1) / blocks;
  for (int64_t begin = 0; begin < rows; begin += step) {
    const int64_t end = std::min(rows, begin + step);
    const Tensor part = flat(y).rows(begin, end);
    Variable residual;
    LinearEpilogue here = epilogue;
    here.destination = &part;
    if (epilogue.residual != nullptr) {
      residual = flat(epilogue.residual->value()).rows(begin, end);
      here.residual = &residual;
    }
    const Variable part_of_x = flat(x.value()).rows(begin, end);
    const Variable done = all_rows(context, {part_of_x, input.norm()}, here);
    // What stands in fc2's place (an adapter) may have an output of its own.
    if (done.value().raw() != part.raw()) Tensor(part).copy_from(done.value());
  }
  return y;
}

LayerCost Mlp::cost(int64_t tokens) const {
  const int64_t matrices = config_.kind == MlpKind::plain ? 2 : 3;
  return {.path = path_,
          .output = {tokens, config_.inputs},
          .multiply_adds = matrices * tokens * config_.inputs * config_.hidden,
          // The input, its norm and the sum; the hidden layer, twice where it is gated.
          .values = tokens * (3 * config_.inputs + 2 * config_.hidden)};
}

}  // namespace vitrail
