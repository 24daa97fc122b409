#include "nn/resnet.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "autograd/checkpoint.h"
#include "autograd/timing.h"
#include "nn/standardised.h"
#include "ops/activation.h"
#include "ops/batch_norm.h"
#include "ops/group_norm.h"
#include "ops/layout.h"
#include "ops/tokens.h"

namespace vitrail {
namespace {

constexpr WindowOptions centered(int64_t kernel, int64_t stride) {
  return square_window(kernel, stride, kernel / 2);
}

// Halves a picture, rounding up.
constexpr WindowOptions kPool = centered(3, 2);

// x with the margin that TensorFlow's SAME gives it, or where that is even the window's padding: so
// that an axis of n has ceil(n / stride) outputs.
Variable same_padded(const Context& context, const Variable& x, WindowOptions* window) {
  const auto missing = [](int64_t size, int64_t kernel, int64_t stride) {
    return std::max<int64_t>(0, ((size + stride - 1) / stride - 1) * stride + kernel - size);
  };
  const int64_t rows = missing(x.size(1), window->kernel_height, window->stride_height);
  const int64_t columns = missing(x.size(2), window->kernel_width, window->stride_width);
  const bool even = rows % 2 == 0 && columns % 2 == 0;
  window->padding_height = even ? rows / 2 : 0;
  window->padding_width = even ? columns / 2 : 0;
  if (even) return x;
  return pad(context, x,
             {{.axis = 1, .before = rows / 2, .after = rows - rows / 2},
              {.axis = 2, .before = columns / 2, .after = columns - columns / 2}});
}

// Means of 2x2; at an odd border of what is there.
Variable halved(const Context& context, Variable x) {
  for (const int axis : {1, 2})
    if (const int64_t size = x.size(axis); size % 2 == 1) {
      const std::vector<Variable> parts{x, slice(context, x, axis, size - 1, size)};
      x = concatenate(context, parts, axis);
    }
  return average_pool2d(context, x, square_window(2, 2, 0));
}

}  // namespace

ResNet::NormedConvolution ResNet::make(const Scope& convolution, const Scope& norm,
                                       const LayerShape& shape) const {
  const int64_t outputs = shape.filter[0], kernel = shape.filter[2];
  // He et al. 2015, with the fan of the outputs, as torchvision begins.
  const double deviation = std::sqrt(2.0 / static_cast<double>(outputs * kernel * kernel));
  NormedConvolution made{
      .weight = convolution.filter("weight", shape.filter, Initializer::truncated_normal(deviation),
                                   shape.muon),
      .window = centered(kernel, shape.stride),
      .gamma =
          norm.parameter("weight", {outputs}, Initializer::constant(1), ParameterRole::Kind::norm),
      .beta = norm.parameter("bias", {outputs}, Initializer::zeros(), ParameterRole::Kind::norm)};
  if (config_.norm == Normalisation::batch) {
    made.running_mean = &norm.buffer("running_mean", {outputs}, Initializer::zeros());
    made.running_variance = &norm.buffer("running_var", {outputs}, Initializer::constant(1));
    // Residual networks without the deep stem came before folding and answer to the bit as they
    // did.
    if (shape.folds && config_.deep_stem)
      made.fold = &norm.add(BatchNormFold{made.weight, nullptr, made.gamma, made.beta,
                                          *made.running_mean, *made.running_variance, epsilon_});
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
                                      {{wanted, channels, kernel, kernel}, step}));
    channels = wanted;
  }
  if (stride != 1 || inputs != outputs) {
    block.halves_by_mean = config_.average_shortcut && stride != 1;
    block.projection.push_back(
        make_projection(scope, inputs, outputs, block.halves_by_mean ? 1 : stride));
  }
  return block;
}

ResNet::NormedConvolution ResNet::make_projection(const Scope& block, int64_t inputs,
                                                  int64_t outputs, int64_t stride) const {
  const Scope scope = block.child("downsample");
  const LayerShape shape{{outputs, inputs, 1, 1}, stride};
  if (config_.standardised) return make(scope.child("conv"), scope.child("norm"), shape);
  const int64_t first = config_.average_shortcut ? 1 : 0;
  return make(scope.child(first), scope.child(first + 1), shape);
}

ResNet::Block ResNet::make_transition(const Scope& scope, int64_t inputs, int64_t outputs) const {
  Block block{.transition = true, .convolutions = {}, .projection = {}};
  block.convolutions.push_back(make(scope.child("conv1"),
                                    scope.child(norm_name() + std::string("1")),
                                    {.filter = {outputs, inputs, 3, 3}, .folds = false}));
  return block;
}

ResNet::ResNet(const Scope& scope, const ResNetConfig& config, int64_t in_channels, double epsilon)
    : config_(config),
      in_channels_(in_channels),
      epsilon_(config.norm_epsilon > 0 ? config.norm_epsilon : epsilon),
      path_(scope.path()) {
  add_stem(scope);
  int64_t channels = config.stem_channels;
  for (size_t i = 0; i < config.blocks.size(); ++i) {
    const Scope below = config.standardised ? scope.child("stages").child(static_cast<int64_t>(i))
                                            : scope.child("layer" + std::to_string(i + 1));
    Stage stage{.path = below.path(), .blocks = {}};
    if (config.pooled) {
      stage.blocks.push_back(
          make_transition(below.child("transition"), channels, config.channels[i]));
      channels = config.channels[i];
    }
    for (int64_t b = 0; b < config.blocks[i]; ++b) {
      const int64_t stride = !config.pooled && i > 0 && b == 0 ? 2 : 1;
      const Scope block = config.standardised ? below.child("blocks").child(b) : below.child(b);
      stage.blocks.push_back(make_block(block, channels, config.channels[i], stride));
      channels = config.channels[i];
    }
    stages_.push_back(std::move(stage));
  }
}

void ResNet::add_stem(const Scope& scope) {
  const ResNetConfig& c = config_;
  constexpr auto kNone = ParameterRole::Muon::none;
  const Scope norm = scope.child(norm_name() + std::string("1"));
  if (c.deep_stem) {
    const Scope stem = scope.child("conv1");
    const int64_t inner = c.stem_channels / 2;
    stem_.push_back(
        make(stem.child(0), stem.child(1), {{inner, in_channels_, 3, 3}, c.stem_stride, kNone}));
    stem_.push_back(make(stem.child(3), stem.child(4), {{inner, inner, 3, 3}}));
    stem_.push_back(make(stem.child(6), norm, {{c.stem_channels, inner, 3, 3}}));
    return;
  }
  const LayerShape shape{
      {c.stem_channels, in_channels_, c.stem_kernel, c.stem_kernel}, c.stem_stride, kNone};
  if (c.standardised) {
    const Scope stem = c.blocks.empty() ? scope : scope.child("stem");
    stem_.push_back(make(stem.child("conv"), stem.child("norm"), shape));
    return;
  }
  stem_.push_back(make(scope.child("conv1"), norm, shape));
}

Variable ResNet::convolve(const Context& context, const NormedConvolution& layer,
                          const Variable& x) const {
  WindowOptions window = layer.window;
  const Variable input = config_.same_padding ? same_padded(context, x, &window) : x;
  if (config_.standardised) return standardised_convolution(context, input, layer.weight, window);
  return convolution(context, input, layer.weight, nullptr, window);
}

// Behind ReLU a margin of zeros wins no maximum.
Variable ResNet::pool(const Context& context, const Variable& x) const {
  WindowOptions window = kPool;
  const Variable input = config_.same_padding ? same_padded(context, x, &window) : x;
  return max_pool2d(context, input, window);
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
  if (layer.fold == nullptr || !layer.fold->folded)
    return normalised(context, layer, convolve(context, layer, x), epilogue);
  constexpr auto kNone = kernels::Activation::none, kRelu = kernels::Activation::relu;
  const bool sums = epilogue.residual != nullptr;  // before ReLU
  WindowOptions window = layer.window;
  const Variable input = config_.same_padding ? same_padded(context, x, &window) : x;
  const Variable y = convolution(
      context, input, layer.weight, &layer.beta, window,
      {.activation = epilogue.relu && !sums ? kRelu : kNone, .residual = epilogue.residual});
  return epilogue.relu && sums ? activation(context, y, kRelu) : y;
}

Variable ResNet::run(const Context& context, const Block& block, const Variable& x) const {
  if (block.transition) {
    const NormedConvolution& layer = block.convolutions.front();
    const Variable y = convolution(context, x, layer.weight, nullptr, layer.window);
    return normalised(context, layer, max_pool2d(context, y, kPool), {.relu = true});
  }
  const Variable shortcut = block.projection.empty()
                                ? x
                                : run(context, block.projection.front(),
                                      block.halves_by_mean ? halved(context, x) : x, {});
  Variable y = x;
  for (size_t i = 0; i + 1 < block.convolutions.size(); ++i)
    y = run(context, block.convolutions[i], y, {.relu = true});
  return run(context, block.convolutions.back(), y, {.relu = true, .residual = &shortcut});
}

Variable ResNet::forward(const Context& context, const Variable& images) const {
  const Variable x = map(context, images);
  return reshape(context, x, {x.size(0), x.size(1) * x.size(2), x.size(3)});
}

Variable ResNet::map(const Context& context, const Variable& images) const {
  Variable x = permute(context, images, std::array{0, 2, 3, 1});
  for (const NormedConvolution& layer : stem_) x = run(context, layer, x, {.relu = true});
  if (config_.stem_pool) x = pool(context, x);
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
  return x;
}

// Behind the stem's stride.
void ResNet::count_stem(CostCounter& counter, int64_t height, int64_t width) const {
  const ResNetConfig& c = config_;
  const int64_t pixels = height * width, taps = c.stem_kernel * c.stem_kernel;
  const Shape output{c.stem_channels, height, width};
  const int64_t inner = c.stem_channels / 2;
  const std::string path = c.standardised && !c.blocks.empty() ? path_ + ".stem" : path_;
  const std::string number = c.standardised ? "" : "1";
  counter.add({.path = path + ".conv" + number,
               .output = output,
               .multiply_adds = c.deep_stem
                                    ? pixels * 9 * inner * (in_channels_ + inner + c.stem_channels)
                                    : pixels * taps * in_channels_ * c.stem_channels});
  counter.add({.path = path + "." + norm_name() + number, .output = output});
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
  count_stem(counter, height, width);
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
