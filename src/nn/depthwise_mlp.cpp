#include "nn/depthwise_mlp.h"

#include <cmath>

#include "ops/activation.h"
#include "ops/convolution.h"
#include "ops/dropout.h"
#include "ops/tokens.h"

namespace vitrail {
namespace {

constexpr int64_t kSide = 3;

}  // namespace

DepthwiseMlp::DepthwiseMlp(const Scope& scope, const DepthwiseMlpConfig& config)
    : config_(config),
      path_(scope.path()),
      fc1_(scope.child("fc1"), config.inputs, config.hidden),
      weight_(scope.child("dwconv").filter(
          "weight", {config.hidden, 1, kSide, kSide},
          Initializer::truncated_normal(std::sqrt(2.0 / (kSide * kSide))),
          ParameterRole::Muon::none)),
      bias_(scope.child("dwconv").parameter("bias", {config.hidden}, Initializer::zeros(),
                                            ParameterRole::Kind::bias)),
      fc2_(scope.child("fc2"), config.hidden, config.inputs) {}

Variable DepthwiseMlp::forward(const Context& context, const LinearInput& input, int64_t height,
                               int64_t width, const LinearEpilogue& epilogue) const {
  const auto first = config_.relu_first ? kernels::Activation::relu : kernels::Activation::none;
  const Variable x = fc1_->forward(context, input, {.activation = first});
  const Shape tokens = x.shape();
  const Variable grid = reshape(context, x, {tokens[0], height, width, config_.hidden});
  const Variable y = depthwise_convolution(context, grid, weight_, &bias_,
                                           {.window = square_window(kSide, 1, kSide / 2)});
  Variable hidden = activation(context, reshape(context, y, tokens), config_.activation);
  hidden = dropout(context, hidden, config_.dropout, path_ + ".dropout1");
  return fc2_->forward(context, hidden, epilogue);
}

LayerCost DepthwiseMlp::cost(int64_t tokens) const {
  return {.path = path_,
          .output = {tokens, config_.inputs},
          .multiply_adds = tokens * config_.hidden * (2 * config_.inputs + kSide * kSide),
          .values = tokens * (3 * config_.inputs + 2 * config_.hidden)};
}

}  // namespace vitrail
