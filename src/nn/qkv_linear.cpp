#include "nn/qkv_linear.h"

#include <algorithm>
#include <array>

#include "ops/elementwise.h"
#include "ops/tokens.h"

namespace vitrail {

QkvLinear::QkvLinear(const Scope& scope, int64_t inputs, int64_t width)
    : Linear(scope.child("qkv"), inputs, 3 * width, {.bias = false}),
      q_bias_(scope.parameter("q_bias", {width}, Initializer::zeros(), ParameterRole::Kind::bias)),
      v_bias_(scope.parameter("v_bias", {width}, Initializer::zeros(), ParameterRole::Kind::bias)) {
}

std::shared_ptr<const Parameter> QkvLinear::fused() const {
  return *fused_.get({&q_bias_, &v_bias_}, {}, [&]() -> std::shared_ptr<const Parameter> {
    const int64_t width = q_bias_.shape().numel();
    Tensor joined = Tensor::zeros({3 * width});
    std::ranges::copy(q_bias_.value().values(), joined.f32());
    std::ranges::copy(v_bias_.value().values(), joined.f32() + 2 * width);
    auto bias = std::make_shared<Parameter>(weight().path() + ".bias", Shape{3 * width},
                                            Parameter::Kind::buffer);
    bias->set_value(joined);
    return bias;
  });
}

Variable QkvLinear::joined_bias(const Context& context) const {
  if (context.tape == nullptr) return fused()->value();
  const std::array parts{q_bias_.variable(), Variable(Tensor::zeros(q_bias_.shape())),
                         v_bias_.variable()};
  return concatenate(context, parts, 0);
}

Variable QkvLinear::forward(const Context& context, const LinearInput& input,
                            const LinearEpilogue& epilogue) const {
  if (context.tape == nullptr) return linear(context, input, weight(), fused().get(), epilogue);
  const Variable product = linear(context, input, weight(), nullptr);
  return apply_epilogue(context, add(context, product, joined_bias(context)), epilogue);
}

}  // namespace vitrail
