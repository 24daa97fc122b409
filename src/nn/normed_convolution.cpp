#include "nn/conv_norm.h"

#include <array>
#include <cmath>

namespace vitrail {
namespace {

Parameter& make_filter(const Scope& scope, const ConvNormConfig& c) {
  check(!c.depthwise || c.inputs == c.outputs, "convolution",
        "{}: a depth-wise convolution of {} channels cannot make {} of them", scope.path(),
        c.inputs, c.outputs);
  const int64_t width = c.depthwise ? 1 : c.inputs;
  // He et al. 2015, eq. 10, with the fan of the outputs.
  const auto fan = static_cast<double>(c.kernel * c.kernel * (c.depthwise ? 1 : c.outputs));
  const Initializer values = Initializer::truncated_normal(std::sqrt(2.0 / fan));
  if (c.matrix)
    return scope.parameter("weight", {c.outputs, width}, values, ParameterRole::Kind::matrix);
  return scope.filter("weight", {c.outputs, width, c.kernel, c.kernel}, values,
                      c.depthwise ? ParameterRole::Muon::none : c.muon);
}

BatchNormWeights make_norm(const Scope& scope, const ConvNormConfig& c) {
  const Shape shape{c.outputs};
  constexpr auto kNorm = ParameterRole::Kind::norm;
  return {.gamma = scope.parameter("weight", shape, Initializer::constant(c.gamma), kNorm),
          .beta = scope.parameter("bias", shape, Initializer::zeros(), kNorm),
          .running_mean = scope.buffer("running_mean", shape, Initializer::zeros()),
          .running_variance = scope.buffer("running_var", shape, Initializer::constant(1)),
          .epsilon = c.epsilon};
}

}  // namespace

struct ConvNorm::Folded {
  using Versions = std::array<uint64_t, 6>;
  // The path is the source's, by which plans of precision and profiles know it.
  Folded(const Versions& of, const Parameter& source, int64_t outputs)
      : versions(of), weight(source.path(), source.shape()), bias(source.path(), {outputs}) {
    weight.set_trainable(false);
    bias.set_trainable(false);
  }
  Versions versions;
  Parameter weight, bias;
};

ConvNorm::ConvNorm(const Scope& convolution, const Scope& norm, const ConvNormConfig& config)
    : config_(config),
      weight_(make_filter(convolution, config)),
      bias_(config.bias ? &convolution.parameter("bias", {config.outputs}, Initializer::zeros(),
                                                 ParameterRole::Kind::bias)
                        : nullptr),
      norm_(make_norm(norm, config)) {}

std::shared_ptr<const ConvNorm::Folded> ConvNorm::folded() const {
  const Folded::Versions versions{weight_.version(),
                                  bias_ == nullptr ? 0 : bias_->version(),
                                  norm_.gamma.version(),
                                  norm_.beta.version(),
                                  norm_.running_mean.version(),
                                  norm_.running_variance.version()};
  const std::lock_guard lock(mutex_);
  if (folded_ != nullptr && folded_->versions == versions) return folded_;
  auto made = std::make_shared<Folded>(versions, weight_, config_.outputs);
  Tensor weight = Tensor::empty(weight_.shape()), bias = Tensor::empty({config_.outputs});
  const int64_t taps = config_.outputs == 0 ? 0 : weight.numel() / config_.outputs;
  const float* from = weight_.value().f32();
  for (int64_t o = 0; o < config_.outputs; ++o) {
    const auto of = [o](const Parameter& parameter) {
      return static_cast<double>(parameter.value().f32()[o]);
    };
    const double factor = of(norm_.gamma) / std::sqrt(of(norm_.running_variance) + norm_.epsilon);
    for (int64_t i = o * taps; i < (o + 1) * taps; ++i)
      weight.f32()[i] = static_cast<float>(factor * static_cast<double>(from[i]));
    const double own = bias_ == nullptr ? 0 : of(*bias_);
    bias.f32()[o] = static_cast<float>(factor * (own - of(norm_.running_mean)) + of(norm_.beta));
  }
  made->weight.set_value(std::move(weight));
  made->bias.set_value(std::move(bias));
  folded_ = std::move(made);
  return folded_;
}

bool ConvNorm::folds(const Context& context, const Variable& x,
                     const LinearEpilogue& epilogue) const {
  if (context.batch_statistics) return false;
  if (context.dropout && (epilogue.dropout > 0 || epilogue.drop_path > 0)) return false;
  const auto variable = [](const Parameter* parameter) {
    return parameter == nullptr ? Variable() : parameter->variable();
  };
  const Variable weight = weight_.variable(), bias = variable(bias_),
                 gamma = norm_.gamma.variable(), beta = norm_.beta.variable(),
                 layer_scale = variable(epilogue.layer_scale);
  return !records(context, {&x, &weight, &bias, &gamma, &beta, &layer_scale, epilogue.residual});
}

Variable ConvNorm::convolve(const Context& context, const Variable& x, const Parameter& weight,
                            const Parameter* bias, const LinearEpilogue& epilogue) const {
  if (is_product()) return linear(context, x, weight, bias, epilogue);
  const WindowOptions window = square_window(config_.kernel, config_.stride, config_.kernel / 2);
  const Variable y = config_.depthwise
                         ? depthwise_convolution(context, x, weight, bias, {.window = window})
                         : convolution(context, x, weight, bias, window);
  return apply_epilogue(context, y, epilogue);
}

Variable ConvNorm::forward(const Context& context, const Variable& x,
                           const LinearEpilogue& epilogue) const {
  LinearEpilogue behind = epilogue;
  behind.destination = nullptr;
  if (folds(context, x, behind)) {
    const std::shared_ptr<const Folded> with_norm = folded();
    return convolve(context, x, with_norm->weight, &with_norm->bias, behind);
  }
  const Variable y = convolve(context, x, weight_, bias_, {});
  return apply_epilogue(context, batch_norm(context, y, norm_), behind);
}

int64_t ConvNorm::multiply_adds(int64_t height, int64_t width) const {
  return cells(height) * cells(width) * config_.kernel * config_.kernel * config_.outputs *
         (config_.depthwise ? 1 : config_.inputs);
}

}  // namespace vitrail
