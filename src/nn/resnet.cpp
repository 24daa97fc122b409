#include "nn/resnet.h"

#include <array>
#include <cmath>

#include "autograd/checkpoint.h"
#include "autograd/timing.h"
#include "ops/batch_norm.h"
#include "ops/group_norm.h"
#include "ops/tokens.h"

namespace vitrail {
namespace {

constexpr WindowOptions centered(int64_t kernel, int64_t stride) {
  return square_window(kernel, stride, kernel / 2);
}

// Halves a picture, rounding up.
constexpr WindowOptions kPool = centered(3, 2);

}  // namespace

ResNet::NormedConvolution ResNet::make(const Scope& convolution, const Scope& norm,
                                       const Shape& shape, int64_t stride,
                                       ParameterRole::Muon muon) const {
  const int64_t outputs = shape[0], kernel = shape[2];
  // He et al. 2015, with the fan of the outputs, as torchvision begins.
  const double deviation = std::sqrt(2.0 / static_cast<double>(outputs * kernel * kernel));
  NormedConvolution made{
      .weight = convolution.filter("weight", shape, Initializer::truncated_normal(deviation), muon),
      .window = centered(kernel, stride),
      .gamma =
          norm.parameter("weight", {outputs}, Initializer::constant(1), ParameterRole::Kind::norm),
      .beta = norm.parameter("bias", {outputs}, Initializer::zeros(), ParameterRole::Kind::norm)};
  if (config_.norm == Normalisation::batch) {
    made.running_mean = &norm.buffer("running_mean", {outputs}, Initializer::zeros());
    made.running_variance = &norm.buffer("running_var", {outputs}, Initializer::constant(1));
  }
  return made;
}

ResNet::Block ResNet::make_block(const Scope& scope, int64_t inputs, int64_t outputs,
                                 int64_t stride) const {
  struct Layer {
    int64_t outputs, kernel, stride;
  };
  std::vector<Layer> layers{{outputs, 3, stride}, {outputs, 3, 1}};
  if (config_.bottleneck)  // the stride at the 3x3, as torchvision has it
    layers = {{outputs / 4, 1, 1}, {outputs / 4, 3, stride}, {outputs, 1, 1}};
  Block block;
  int64_t channels = inputs;
  for (size_t i = 0; i < layers.size(); ++i) {
    const auto& [wanted, kernel, step] = layers[i];
    const std::string number = std::to_string(i + 1);
    block.convolutions.push_back(make(scope.child("conv" + number),
                                      scope.child(norm_name() + number),
                                      {wanted, channels, kernel, kernel}, step));
    channels = wanted;
  }
  if (stride != 1 || inputs != outputs) {
    const Scope projection = scope.child("downsample");
    block.projection.push_back(
        make(projection.child(0), projection.child(1), {outputs, inputs, 1, 1}, stride));
  }
  return block;
}

ResNet::Block ResNet::make_transition(const Scope& scope, int64_t inputs, int64_t outputs) const {
  Block block{.transition = true, .convolutions = {}, .projection = {}};
  block.convolutions.push_back(make(scope.child("conv1"),
                                    scope.child(norm_name() + std::string("1")),
                                    {outputs, inputs, 3, 3}, 1));
  return block;
}

ResNet::ResNet(const Scope& scope, const ResNetConfig& config, int64_t in_channels, double epsilon)
    : config_(config), in_channels_(in_channels), epsilon_(epsilon), path_(scope.path()) {
  const int64_t kernel = config.stem_kernel;
  stem_.push_back(make(scope.child("conv1"), scope.child(norm_name() + std::string("1")),
                       {config.stem_channels, in_channels, kernel, kernel}, config.stem_stride,
                       ParameterRole::Muon::none));
  int64_t channels = config.stem_channels;
  for (size_t i = 0; i < config.blocks.size(); ++i) {
    const Scope below = scope.child("layer" + std::to_string(i + 1));
    Stage stage{.path = below.path(), .blocks = {}};
    if (config.pooled) {
      stage.blocks.push_back(
          make_transition(below.child("transition"), channels, config.channels[i]));
      channels = config.channels[i];
    }
    for (int64_t b = 0; b < config.blocks[i]; ++b) {
      const int64_t stride = !config.pooled && i > 0 && b == 0 ? 2 : 1;
      stage.blocks.push_back(make_block(below.child(b), channels, config.channels[i], stride));
      channels = config.channels[i];
    }
    stages_.push_back(std::move(stage));
  }
}

Variable ResNet::normalised(const Context& context, const NormedConvolution& layer,
                            const Variable& y, const NormEpilogue& epilogue) const {
  if (config_.norm == Normalisation::group)
    return group_norm(context, y, {layer.gamma, layer.beta, config_.norm_groups, epsilon_},
                      epilogue);
  return batch_norm(
      context, y, {layer.gamma, layer.beta, *layer.running_mean, *layer.running_variance, epsilon_},
      epilogue);
}

Variable ResNet::run(const Context& context, const NormedConvolution& layer, const Variable& x,
                     const NormEpilogue& epilogue) const {
  return normalised(context, layer, convolution(context, x, layer.weight, nullptr, layer.window),
                    epilogue);
}

Variable ResNet::run(const Context& context, const Block& block, const Variable& x) const {
  if (block.transition) {
    const NormedConvolution& layer = block.convolutions.front();
    const Variable y = convolution(context, x, layer.weight, nullptr, layer.window);
    return normalised(context, layer, max_pool2d(context, y, kPool), {.relu = true});
  }
  const Variable shortcut =
      block.projection.empty() ? x : run(context, block.projection.front(), x, {});
  Variable y = x;
  for (size_t i = 0; i + 1 < block.convolutions.size(); ++i)
    y = run(context, block.convolutions[i], y, {.relu = true});
  return run(context, block.convolutions.back(), y, {.relu = true, .residual = &shortcut});
}

Variable ResNet::forward(const Context& context, const Variable& images) const {
  Variable x = permute(context, images, std::array{0, 2, 3, 1});
  x = run(context, stem_.front(), x, {.relu = true});
  if (config_.stem_pool) x = max_pool2d(context, x, kPool);
  for (const Stage& stage : stages_) {
    for (const Block& block : stage.blocks)
      x = context.activation_checkpointing
              ? checkpoint(context, x,
                           [this, &block](const Context& inner, const Variable& input) {
                             return run(inner, block, input);
                           })
              : run(context, block, x);
    context.observe(stage.path, x);
  }
  return reshape(context, x, {x.size(0), x.size(1) * x.size(2), x.size(3)});
}

void ResNet::count(CostCounter& counter, int64_t height, int64_t width) const {
  const ResNetConfig& c = config_;
  const auto shrink = [&](int64_t stride) {
    height = (height + stride - 1) / stride;
    width = (width + stride - 1) / stride;
  };
  const auto product = [&](int64_t inputs, int64_t kernel, int64_t outputs) {
    return height * width * inputs * kernel * kernel * outputs;
  };
  shrink(c.stem_stride);
  counter.add({.path = path_ + ".conv1",
               .output = {c.stem_channels, height, width},
               .multiply_adds = product(in_channels_, c.stem_kernel, c.stem_channels)});
  counter.add(
      {.path = path_ + "." + norm_name() + "1", .output = {c.stem_channels, height, width}});
  if (c.stem_pool) shrink(2);
  int64_t inputs = c.stem_channels;
  for (size_t stage = 0; stage < c.blocks.size(); ++stage) {
    const int64_t outputs = c.channels[stage], inner = outputs / 4;
    int64_t sum = 0;
    if (c.pooled) {
      sum += product(inputs, 3, outputs);  // before the pooling
      shrink(2);
      inputs = outputs;
    }
    for (int64_t block = 0; block < c.blocks[stage]; ++block, inputs = outputs) {
      const int64_t stride = !c.pooled && stage > 0 && block == 0 ? 2 : 1;
      if (c.bottleneck) sum += product(inputs, 1, inner);  // before the stride
      shrink(stride);
      sum += c.bottleneck ? product(inner, 3, inner) + product(inner, 1, outputs)
                          : product(inputs, 3, outputs) + product(outputs, 3, outputs);
      if (stride != 1 || inputs != outputs) sum += product(inputs, 1, outputs);
    }
    counter.add(
        {.path = stages_[stage].path, .output = {outputs, height, width}, .multiply_adds = sum});
  }
}

}  // namespace vitrail
