#include "nn/normed_convolution.h"

#include <cmath>

namespace vitrail {
namespace {

Parameter& make_filter(const Scope& scope, const NormedConvolutionConfig& c) {
  check(!c.depthwise || c.inputs == c.outputs, "convolution",
        "{}: a depth-wise convolution of {} channels cannot make {} of them", scope.path(),
        c.inputs, c.outputs);
  const int64_t width = c.depthwise ? 1 : c.inputs;
  const auto fan = static_cast<double>(c.kernel * c.kernel * (c.depthwise ? 1 : c.outputs));
  const Initializer values =
      c.initializer.value_or(Initializer::truncated_normal(std::sqrt(2.0 / fan)));
  if (c.matrix)
    return scope.parameter("weight", {c.outputs, width}, values, ParameterRole::Kind::matrix);
  return scope.filter("weight", {c.outputs, width, c.kernel, c.kernel}, values,
                      c.depthwise ? ParameterRole::Muon::none : c.muon);
}

}  // namespace

NormedConvolution::NormedConvolution(const Scope& convolution, const Scope& norm,
                                     const NormedConvolutionConfig& config)
    : config_(config),
      weight_(make_filter(convolution, config)),
      bias_(config.bias ? &convolution.parameter("bias", {config.outputs}, Initializer::zeros(),
                                                 ParameterRole::Kind::bias)
                        : nullptr),
      norm_(norm, config.outputs, config.norm),
      fold_(norm.add(norm_.fold_into(weight_, bias_))) {}

Variable NormedConvolution::convolve(const Context& context, const Variable& x,
                                     const Parameter* bias, const LinearEpilogue& epilogue) const {
  if (is_product()) return linear(context, x, weight_, bias, epilogue);
  const WindowOptions window = square_window(config_.kernel, config_.stride, padding());
  if (!config_.depthwise) return convolution(context, x, weight_, bias, window, epilogue);
  return apply_epilogue(
      context, depthwise_convolution(context, x, weight_, bias, {.window = window}), epilogue);
}

Variable NormedConvolution::forward(const Context& context, const Variable& x,
                                    const LinearEpilogue& epilogue) const {
  LinearEpilogue behind = epilogue;
  behind.destination = nullptr;
  if (fold_.folded) return convolve(context, x, &norm_.bias(), behind);
  return apply_epilogue(context, norm_.forward(context, convolve(context, x, bias_, {})), behind);
}

int64_t NormedConvolution::multiply_adds(int64_t height, int64_t width) const {
  return cells(height) * cells(width) * weight_.shape().numel();
}

}  // namespace vitrail
