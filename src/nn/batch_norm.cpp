#include "nn/batch_norm.h"

#include <cmath>
#include <vector>

namespace vitrail {

BatchNorm::BatchNorm(const Scope& scope, int64_t channels, const Options& options)
    : gamma_(scope.parameter("weight", {channels}, Initializer::constant(options.first_weight),
                             ParameterRole::Kind::norm)),
      beta_(scope.parameter("bias", {channels}, Initializer::zeros(), ParameterRole::Kind::norm)),
      running_mean_(scope.buffer("running_mean", {channels}, Initializer::zeros())),
      running_variance_(scope.buffer("running_var", {channels}, Initializer::constant(1))),
      epsilon_(options.epsilon) {}

void fold(BatchNormFold& fold) {
  Parameter& weight = fold.weight;
  const int64_t outputs = weight.shape()[0];
  const auto gamma = fold.gamma.value().values(), beta = fold.beta.value().values();
  const auto mean = fold.running_mean.value().values();
  const auto variance = fold.running_variance.value().values();
  std::vector<float> scale(static_cast<size_t>(outputs));
  Tensor bias = Tensor::empty({outputs});
  for (size_t n = 0; n < scale.size(); ++n) {
    const double factor =
        static_cast<double>(gamma[n]) / std::sqrt(static_cast<double>(variance[n]) + fold.epsilon);
    scale[n] = static_cast<float>(factor);
    bias.f32()[n] =
        static_cast<float>(static_cast<double>(beta[n]) - static_cast<double>(mean[n]) * factor);
  }
  if (const kernels::QuantizedWeight* stored = weight.quantized()) {
    Tensor scales = stored->scales.clone();
    for (size_t n = 0; n < scale.size(); ++n) scales.f32()[n] *= scale[n];
    weight.set_quantized(Tensor(stored->values).reshape(weight.shape()), std::move(scales));
  } else {
    Tensor scaled = weight.value().clone();
    const int64_t inputs = outputs == 0 ? 0 : scaled.numel() / outputs;
    for (int64_t n = 0; n < outputs; ++n)
      for (int64_t k = 0; k < inputs; ++k)
        scaled.f32()[n * inputs + k] *= scale[static_cast<size_t>(n)];
    weight.set_value(std::move(scaled));
  }
  fold.beta.set_value(std::move(bias));
  fold.folded = true;
}

NormedLinear::NormedLinear(const Scope& scope, int64_t inputs, int64_t outputs,
                           const Options& options)
    : linear_(scope.child(options.names.product), inputs, outputs,
              {.bias = false,
               .pointwise = options.pointwise,
               .weight = Initializer::torch_uniform(inputs)}),
      norm_(scope.child(options.names.norm), outputs, options.norm),
      fold_(scope.add(norm_.fold_into(linear_->weight()))) {}

Variable NormedLinear::forward(const Context& context, const Variable& x,
                               const LinearEpilogue& epilogue) const {
  if (fold_.folded) return linear(context, x, linear_->weight(), &norm_.bias(), epilogue);
  return apply_epilogue(context, norm_.forward(context, linear_->forward(context, x)), epilogue);
}

NormedConvolution::NormedConvolution(const Scope& scope, int64_t inputs, int64_t outputs,
                                     const Options& options)
    : window_(options.window),
      depthwise_(options.depthwise),
      weight_(scope.child(options.names.product)
                  .filter("weight",
                          {outputs, options.depthwise ? 1 : inputs, window_.kernel_height,
                           window_.kernel_width},
                          Initializer::torch_uniform((options.depthwise ? 1 : inputs) *
                                                     window_.kernel_height * window_.kernel_width),
                          options.depthwise ? ParameterRole::Muon::none
                                            : ParameterRole::Muon::normalised_filter)),
      norm_(scope.child(options.names.norm), outputs, options.norm),
      fold_(scope.add(norm_.fold_into(weight_))) {}

Variable NormedConvolution::forward(const Context& context, const Variable& x) const {
  const Parameter* bias = fold_.folded ? &norm_.bias() : nullptr;
  const Variable y = depthwise_
                         ? depthwise_convolution(context, x, weight_, bias, {.window = window_})
                         : convolution(context, x, weight_, bias, window_);
  return fold_.folded ? y : norm_.forward(context, y);
}

int64_t NormedConvolution::cells(int axis, int64_t pixels) const {
  const bool rows = axis == 0;
  const int64_t kernel = rows ? window_.kernel_height : window_.kernel_width;
  const int64_t stride = rows ? window_.stride_height : window_.stride_width;
  const int64_t padding = rows ? window_.padding_height : window_.padding_width;
  return (pixels + 2 * padding - kernel) / stride + 1;
}

}  // namespace vitrail
