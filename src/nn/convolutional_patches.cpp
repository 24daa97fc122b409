#include "nn/convolutional_patches.h"

#include <array>

#include "autograd/timing.h"
#include "ops/activation.h"
#include "ops/tokens.h"

namespace vitrail {
namespace {

constexpr int64_t kTowerSide = 3;

}  // namespace

ConvolutionalPatches::ConvolutionalPatches(const Scope& scope,
                                           const ConvolutionalPatchesConfig& config)
    : config_(config), path_(scope.path()) {
  int64_t channels = config.channels;
  for (int64_t i = 0; i < config.halvings; ++i) {
    const int64_t width = config.embed_dim >> (config.halvings - 1 - i);
    const Scope layer = scope.child("proj").child(2 * i);
    Parameter& weight = layer.child(0).filter(
        "weight", {width, channels, kTowerSide, kTowerSide},
        Initializer::torch_uniform(channels * kTowerSide * kTowerSide),
        i == 0 ? ParameterRole::Muon::none : ParameterRole::Muon::normalised_filter);
    layers_.push_back({weight, BatchNorm(layer.child(1), width)});
    channels = width;
  }
}

Variable ConvolutionalPatches::forward(const Context& context, const Variable& images) const {
  Variable x = permute(context, images, std::array{0, 2, 3, 1});
  for (size_t i = 0; i < layers_.size(); ++i) {
    if (i > 0) x = activation(context, x, config_.activation);
    x = convolution(context, x, layers_[i].weight, nullptr,
                    square_window(kTowerSide, 2, kTowerSide / 2));
    x = layers_[i].norm.forward(context, x);
  }
  return x;
}

int64_t ConvolutionalPatches::cells(int64_t pixels) const {
  for (int64_t i = 0; i < config_.halvings; ++i) pixels = (pixels - 1) / 2 + 1;
  return pixels;
}

LayerCost ConvolutionalPatches::cost(int64_t picture_height, int64_t picture_width) const {
  LayerCost cost{.path = path_};
  int64_t channels = config_.channels, height = picture_height, width = picture_width;
  for (int64_t i = 0; i < config_.halvings; ++i) {
    const int64_t outputs = config_.embed_dim >> (config_.halvings - 1 - i);
    const int64_t before = height * width * channels;
    height = (height - 1) / 2 + 1;
    width = (width - 1) / 2 + 1;
    cost.multiply_adds += height * width * channels * kTowerSide * kTowerSide * outputs;
    // What goes in, the product and its norm.
    cost.values = std::max(cost.values, before + 2 * height * width * outputs);
    channels = outputs;
  }
  cost.output = {height * width, config_.embed_dim};
  return cost;
}

}  // namespace vitrail
