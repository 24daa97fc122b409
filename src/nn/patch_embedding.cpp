#include "nn/patch_embedding.h"

#include <array>
#include <cmath>

#include "autograd/timing.h"
#include "core/error.h"
#include "ops/activation.h"
#include "ops/patch_projection.h"
#include "ops/tokens.h"

namespace vitrail {
namespace {

int64_t patch_size(const PatchEmbeddingConfig& config) {
  return config.channels * config.patch_height * config.patch_width;
}

Shape weight_shape(const PatchEmbeddingConfig& config) {
  if (config.channels_last) return {config.embed_dim, patch_size(config)};
  return {config.embed_dim, config.channels, config.patch_height, config.patch_width};
}

Parameter& projection_weight(const Scope& scope, const PatchEmbeddingConfig& config) {
  return scope.child("proj").parameter(
      "weight", weight_shape(config),
      Initializer::xavier_uniform(patch_size(config), config.embed_dim),
      ParameterRole::Kind::matrix);
}

Parameter* projection_bias(const Scope& scope, const PatchEmbeddingConfig& config) {
  if (!config.bias) return nullptr;
  return &scope.child("proj").parameter("bias", {config.embed_dim}, Initializer::zeros(),
                                        ParameterRole::Kind::bias);
}

LayerCost projection_cost(const std::string& path, const PatchEmbeddingConfig& config,
                          int64_t patches) {
  return {.path = path,
          .output = {patches, config.embed_dim},
          .multiply_adds = patches * patch_size(config) * config.embed_dim};
}

}  // namespace

PatchEmbed::PatchEmbed(const Scope& scope, const PatchEmbeddingConfig& config)
    : config_(config),
      path_(scope.path()),
      weight_(projection_weight(scope, config)),
      bias_(projection_bias(scope, config)) {
  weight_.set_read_packed();
  if (config.output_norm)
    norm_out_.emplace(scope.child("norm"), config.embed_dim, config.epsilon, config.norm);
  if (!config.norms) return;
  norm_in_.emplace(scope.child("norm_in"), patch_size(config), config.epsilon);
  norm_out_.emplace(scope.child("norm_out"), config.embed_dim, config.epsilon);
}

Variable PatchEmbed::forward(const Context& context, const Variable& images) const {
  check(images.size(2) >= config_.patch_height && images.size(3) >= config_.patch_width,
        "patch embedding", "a picture of {}x{} holds no patch of {}x{}", images.size(2),
        images.size(3), config_.patch_height, config_.patch_width);
  const WindowOptions window{.kernel_height = config_.patch_height,
                             .kernel_width = config_.patch_width,
                             .stride_height = config_.patch_height,
                             .stride_width = config_.patch_width};
  const Timed timed(context, {"unfold", weight_.path()});
  Variable tokens;
  if (norm_in_) {
    const Variable patches = unfold(context, images, window, config_.channels_last);
    tokens = linear(context, norm_in_->before(patches), weight_, bias_);
  } else {
    tokens = patch_projection(context, images, window, config_.channels_last, weight_, bias_);
  }
  return norm_out_ ? norm_out_->forward(context, tokens) : tokens;
}

LayerCost PatchEmbed::cost(int64_t patches) const {
  return projection_cost(path_, config_, patches);
}

MapProjection::MapProjection(const Scope& scope, const PatchEmbeddingConfig& config)
    : config_(config),
      path_(scope.path() + ".proj"),
      weight_(projection_weight(scope, config)),
      bias_(projection_bias(scope, config)) {}

Variable MapProjection::forward(const Context& context, const Variable& map) const {
  const int64_t batch = map.size(0);
  if (config_.patch_height == 1 && config_.patch_width == 1)
    return linear(context,
                  reshape(context, map, {batch, map.size(1) * map.size(2), config_.channels}),
                  weight_, bias_);
  const Variable tokens = convolution(context, map, weight_, bias_,
                                      {.kernel_height = config_.patch_height,
                                       .kernel_width = config_.patch_width,
                                       .stride_height = config_.patch_height,
                                       .stride_width = config_.patch_width});
  return reshape(context, tokens, {batch, tokens.size(1) * tokens.size(2), config_.embed_dim});
}

LayerCost MapProjection::cost(int64_t patches) const {
  return projection_cost(path_, config_, patches);
}

ConvTokenizer::ConvTokenizer(const Scope& scope, const ConvTokenizerConfig& config)
    : config_(config), path_(scope.path()) {
  const Scope convolutions = scope.child("conv_layers");
  int64_t channels = config.channels;
  for (int64_t i = 0; i < config.layers; ++i) {
    const int64_t outputs = i + 1 == config.layers ? config.embed_dim : config.hidden_channels;
    const Scope layer = convolutions.child(i);
    // He et al. 2015, eq. 10, as the tokenizer's authors initialise it.
    const double deviation =
        std::sqrt(2.0 / static_cast<double>(channels * config.kernel * config.kernel));
    layers_.push_back(
        {.weight = layer.filter("weight", {outputs, channels, config.kernel, config.kernel},
                                Initializer::truncated_normal(deviation),
                                i == 0 ? ParameterRole::Muon::none : ParameterRole::Muon::filter),
         .bias = config.bias ? &layer.parameter("bias", {outputs}, Initializer::zeros(),
                                                ParameterRole::Kind::bias)
                             : nullptr});
    channels = outputs;
  }
}

Variable ConvTokenizer::forward(const Context& context, const Variable& images) const {
  Variable x = permute(context, images, std::array{0, 2, 3, 1});
  for (const Layer& layer : layers_) {
    x = convolution(context, x, layer.weight, layer.bias,
                    square_window(config_.kernel, config_.stride, config_.padding));
    x = activation(context, x, config_.activation);
    if (config_.pool_kernel > 0)
      x = max_pool2d(context, x,
                     square_window(config_.pool_kernel, config_.pool_stride, config_.pool_padding));
  }
  return reshape(context, x, {x.size(0), x.size(1) * x.size(2), x.size(3)});
}

LayerCost ConvTokenizer::cost(int64_t height, int64_t width) const {
  const ConvTokenizerConfig& c = config_;
  const auto shrink = [](int64_t size, int64_t kernel, int64_t stride, int64_t padding) {
    return (size + 2 * padding - kernel) / stride + 1;
  };
  int64_t channels = c.channels, sum = 0;
  for (int64_t i = 0; i < c.layers; ++i) {
    const int64_t outputs = i + 1 == c.layers ? c.embed_dim : c.hidden_channels;
    height = shrink(height, c.kernel, c.stride, c.padding);
    width = shrink(width, c.kernel, c.stride, c.padding);
    sum += height * width * outputs * channels * c.kernel * c.kernel;
    channels = outputs;
    if (c.pool_kernel == 0) continue;
    height = shrink(height, c.pool_kernel, c.pool_stride, c.pool_padding);
    width = shrink(width, c.pool_kernel, c.pool_stride, c.pool_padding);
  }
  return {.path = path_, .output = {height * width, c.embed_dim}, .multiply_adds = sum};
}

}  // namespace vitrail
