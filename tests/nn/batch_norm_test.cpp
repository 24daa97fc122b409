// Products with batch normalisation behind them: folded, they answer as before.
#include "nn/batch_norm.h"

#include <gtest/gtest.h>

#include <cstring>

#include "kernels/gemm_int8.h"
#include "support/compare.h"
#include "support/random.h"

namespace vitrail {
namespace {

using testing::max_relative_error;
using testing::random_tensor;

// Statistics and weights far from those of a fresh model; the third channel's gamma is 0, as it is
// at first where a branch begins as its shortcut.
void randomise(ParameterRegistry& registry) {
  uint64_t seed = 1;
  for (const auto& parameter : registry.all()) {
    const bool positive = parameter->path().ends_with("running_var");
    Tensor value = random_tensor(parameter->shape(), ++seed, positive ? 0.5 : -1, 1.5);
    if (parameter->path().ends_with("bn.weight")) value.f32()[2] = 0;
    parameter->set_value(value);
  }
}

TEST(BatchNormFold, AProjectionAnswersAsBefore) {
  for (const bool pointwise : {false, true}) {
    ParameterRegistry registry;
    const NormedLinear layer(Scope(registry).child("a"), 24, 40,
                             {.names = {}, .pointwise = pointwise, .norm = {.epsilon = 1e-3}});
    randomise(registry);
    Queue queue(2);
    const Context context(queue);
    const Variable x = random_tensor({2, 7, 24}, 50), residual = random_tensor({2, 7, 40}, 51);
    const LinearEpilogue epilogue{.activation = kernels::Activation::hard_swish,
                                  .residual = &residual};
    const Tensor before = layer.forward(context, x, epilogue).value();
    ASSERT_EQ(registry.folds().size(), 1u);
    fold(*registry.folds().front());
    EXPECT_LE(
        max_relative_error(layer.forward(context, x, epilogue).value().values(), before.values()),
        1e-6);
  }
}

// Integers that were stored stay: their scales take the factors.
TEST(BatchNormFold, AStoredInt8WeightKeepsItsIntegers) {
  ParameterRegistry registry;
  const NormedLinear layer(Scope(registry).child("a"), 24, 40, {});
  randomise(registry);
  Queue queue(1);
  Parameter& weight = registry.at("a.linear.weight");
  const kernels::QuantizedWeight stored =
      kernels::quantize_weight(queue, weight.value().f32(), 40, 24);
  weight.set_quantized(stored.values.reshape({40, 24}), stored.scales);
  PrecisionPlan plan{.base = Precision::int8};
  Context context(queue);
  context.precision = &plan;
  const Variable x = random_tensor({9, 24}, 50);
  const Tensor before = layer.forward(context, x).value();
  fold(*registry.folds().front());
  ASSERT_NE(weight.quantized(), nullptr);
  EXPECT_EQ(std::memcmp(weight.quantized()->values.raw(), stored.values.raw(), 40 * 24), 0);
  EXPECT_LE(max_relative_error(layer.forward(context, x).value().values(), before.values()), 1e-5);
}

}  // namespace
}  // namespace vitrail
