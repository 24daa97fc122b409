#include "nn/bottleneck.h"

#include <cmath>

#include "ops/convolution.h"
#include "ops/elementwise.h"

namespace vitrail {
namespace {

// He et al. 2015, eq. 10, over what a pixel of the output reaches.
Parameter& bottleneck_filter(const Scope& scope, int64_t outputs, int64_t inputs, int64_t side) {
  return scope.filter(
      "weight", {outputs, inputs, side, side},
      Initializer::truncated_normal(std::sqrt(2.0 / static_cast<double>(outputs * side * side))),
      ParameterRole::Muon::normalised_filter);
}

}  // namespace

Bottleneck::Bottleneck(const Scope& scope, const BottleneckConfig& config)
    : config_(config),
      path_(scope.path()),
      conv1_(bottleneck_filter(scope.child("conv1"), config.hidden, config.channels, 1)),
      norm1_(scope.child("norm1"), config.hidden, config.epsilon),
      conv2_(bottleneck_filter(scope.child("conv2"), config.hidden, config.hidden, 3)),
      norm2_(scope.child("norm2"), config.hidden, config.epsilon),
      conv3_(bottleneck_filter(scope.child("conv3"), config.channels, config.hidden, 1)),
      norm3_(scope.child("norm3"), config.channels, config.epsilon) {}

Variable Bottleneck::forward(const Context& context, const Variable& x) const {
  const auto layer = [&](const Variable& input, const Parameter& filter, int64_t side,
                         const LayerNorm& norm) {
    return norm.forward(
        context, convolution(context, input, filter, nullptr, square_window(side, 1, side / 2)));
  };
  Variable y = activation(context, layer(x, conv1_, 1, norm1_), config_.activation);
  y = activation(context, layer(y, conv2_, 3, norm2_), config_.activation);
  return add(context, x, layer(y, conv3_, 1, norm3_));
}

LayerCost Bottleneck::cost(int64_t cells) const {
  const int64_t channels = config_.channels, hidden = config_.hidden;
  return {.path = path_,
          .output = {cells, channels},
          .multiply_adds = cells * hidden * (2 * channels + 9 * hidden),
          .values = cells * (3 * channels + 2 * hidden)};
}

}  // namespace vitrail
