#include "nn/query_value_linear.h"

#include <array>

#include "ops/tokens.h"

namespace vitrail {

QueryValueLinear::QueryValueLinear(const Scope& attention, int64_t inputs, int64_t width)
    : Linear(attention.child("qkv"), inputs, 3 * width, {.bias = false}),
      bias_path_(attention.child("qkv").path() + ".bias"),
      width_(width),
      q_bias_(
          attention.parameter("q_bias", {width}, Initializer::zeros(), ParameterRole::Kind::bias)),
      v_bias_(attention.parameter("v_bias", {width}, Initializer::zeros(),
                                  ParameterRole::Kind::bias)) {}

Variable QueryValueLinear::joined_bias(const Context& context) const {
  const std::array parts{q_bias_.variable(), Variable(Tensor::zeros({width_})), v_bias_.variable()};
  return concatenate(context, parts, 0);
}

Variable QueryValueLinear::forward(const Context& context, const LinearInput& input,
                                   const LinearEpilogue& epilogue) const {
  Parameter bias(bias_path_, {3 * width_});
  bias.set_computed(joined_bias(context));
  return linear(context, input, weight(), &bias, epilogue);
}

}  // namespace vitrail
