#include "nn/convolutional_patches.h"

#include <algorithm>
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
    layers_.emplace_back(
        layer.child(0), layer.child(1),
        NormedConvolutionConfig{
            .inputs = channels,
            .outputs = width,
            .kernel = kTowerSide,
            .stride = 2,
            .initializer = Initializer::torch_uniform(channels * kTowerSide * kTowerSide),
            .muon = i == 0 ? ParameterRole::Muon::none : ParameterRole::Muon::normalised_filter});
    channels = width;
  }
}

Variable ConvolutionalPatches::forward(const Context& context, const Variable& images) const {
  Variable x = permute(context, images, std::array{0, 2, 3, 1});
  for (size_t i = 0; i < layers_.size(); ++i) {
    if (i > 0) x = activation(context, x, config_.activation);
    x = layers_[i].forward(context, x);
  }
  return x;
}

int64_t ConvolutionalPatches::cells(int64_t pixels) const {
  for (const NormedConvolution& layer : layers_) pixels = layer.cells(pixels);
  return pixels;
}

LayerCost ConvolutionalPatches::cost(int64_t picture_height, int64_t picture_width) const {
  LayerCost cost{.path = path_};
  int64_t channels = config_.channels, height = picture_height, width = picture_width;
  for (const NormedConvolution& layer : layers_) {
    const int64_t before = height * width * channels;
    cost.multiply_adds += layer.multiply_adds(height, width);
    height = layer.cells(height);
    width = layer.cells(width);
    channels = layer.outputs();
    // What goes in, the product and its norm.
    cost.values = std::max(cost.values, before + 2 * height * width * channels);
  }
  cost.output = {height * width, config_.embed_dim};
  return cost;
}

}  // namespace vitrail
