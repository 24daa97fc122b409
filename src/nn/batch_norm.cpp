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
  const auto of = [](const Parameter& vector, size_t n) {
    return static_cast<double>(vector.value().values()[n]);
  };
  std::vector<double> factors(static_cast<size_t>(outputs));
  Tensor bias = Tensor::empty({outputs});
  for (size_t n = 0; n < factors.size(); ++n) {
    factors[n] = of(fold.gamma, n) / std::sqrt(of(fold.running_variance, n) + fold.epsilon);
    const double own = fold.bias == nullptr ? 0 : of(*fold.bias, n);
    bias.f32()[n] =
        static_cast<float>(of(fold.beta, n) + (own - of(fold.running_mean, n)) * factors[n]);
  }
  const auto scale = [](float& value, double factor) {
    value = static_cast<float>(static_cast<double>(value) * factor);
  };
  if (const kernels::QuantizedWeight* stored = weight.quantized()) {
    Tensor scales = stored->scales.clone();
    for (size_t n = 0; n < factors.size(); ++n) scale(scales.f32()[n], factors[n]);
    weight.set_quantized(Tensor(stored->values).reshape(weight.shape()), std::move(scales));
  } else {
    Tensor scaled = weight.value().clone();
    const int64_t inputs = outputs == 0 ? 0 : scaled.numel() / outputs;
    for (int64_t i = 0; i < outputs * inputs; ++i)
      scale(scaled.f32()[i], factors[static_cast<size_t>(i / inputs)]);
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

}  // namespace vitrail
