#include "ops/linear.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "support/errors.h"
#include "support/gradient_check.h"

namespace vitrail {
namespace {

using kernels::Activation;
using testing::check_gradients;
using testing::Operands;

TEST(LinearOp, GradientsMatchDifferences) {
  Operands plain({{2, 3, 5}}, {{7, 5}, {7}});
  check_gradients(plain, [](const Context& context, const Operands& o) {
    return linear(context, o.inputs[0], *o.parameters[0], o.parameters[1].get());
  });
  Operands no_bias({{4, 5}}, {{3, 5}});
  check_gradients(no_bias, [](const Context& context, const Operands& o) {
    return linear(context, o.inputs[0], *o.parameters[0], nullptr);
  });
}

// check_gradients also holds the chain that training records to the fused epilogue of inference.
TEST(LinearOp, EveryEpilogueAtOnce) {
  Operands o({{2, 3, 5}, {2, 3, 7}}, {{7, 5}, {7}, {7}});
  check_gradients(o, [](const Context& context, const Operands& at) {
    return linear(context, at.inputs[0], *at.parameters[0], at.parameters[1].get(),
                  {.activation = Activation::gelu,
                   .layer_scale = at.parameters[2].get(),
                   .residual = &at.inputs[1],
                   .path = "blocks.0.mlp.fc2"});
  });
}

// What no product carries along: the chain by itself is what linear records.
TEST(LinearOp, AnEpilogueByItselfIsThatOfAProduct) {
  Queue queue(2);
  Context context(queue);
  context.dropout = true;
  context.random = RandomKey(3, 4);
  Operands o({{2, 3, 5}, {2, 3, 7}}, {{7, 5}, {7}, {7}});
  const LinearEpilogue epilogue{.activation = Activation::gelu,
                                .dropout = 0.2,
                                .layer_scale = o.parameters[2].get(),
                                .drop_path = 0.3,
                                .residual = &o.inputs[1],
                                .path = "blocks.0.mlp.fc2"};
  const Parameter &weight = *o.parameters[0], &bias = *o.parameters[1];
  const Tensor whole = linear(context, o.inputs[0], weight, &bias, epilogue).value();
  const Tensor chain =
      apply_epilogue(context, linear(context, o.inputs[0], weight, &bias), epilogue).value();
  EXPECT_TRUE(std::ranges::equal(whole.values(), chain.values()));
  EXPECT_ERROR(apply_epilogue(context, o.inputs[0], epilogue), "does not fit an output");
}

TEST(LinearOp, AWriteIntoADestinationIsNoticed) {
  Queue queue(1);
  const Context context(queue);
  Operands o({{2, 5}}, {{5, 5}});
  const Tensor destination = Tensor::zeros({2, 5});
  const SavedTensor saved(destination);
  EXPECT_NO_THROW((void)saved.get());
  linear(context, o.inputs[0], *o.parameters[0], nullptr, {.destination = &destination});
  EXPECT_ERROR(saved.get(), "was changed in place");
}

TEST(LinearOp, DropoutsDrawTheSameMasksBothWays) {
  Queue queue(1);
  Context training(queue);
  training.dropout = true;
  training.random = RandomKey(3, 4);
  Operands o({{4, 3, 5}, {4, 3, 7}}, {{7, 5}, {7}});
  check_gradients(
      o,
      [](const Context& context, const Operands& at) {
        return linear(context, at.inputs[0], *at.parameters[0], at.parameters[1].get(),
                      {.dropout = 0.3,
                       .drop_path = 0.3,
                       .residual = &at.inputs[1],
                       .path = "blocks.0.mlp.fc2"});
      },
      2e-3, &training);
}

// LayerNorm before the product and on its way in: the same, with gradients in f32 and to the bit in
// every precision of inference.
TEST(LinearOp, NormalisesItsInput) {
  Operands o({{2, 3, 37}}, {{7, 37}, {7}, {37}, {37}});
  const auto projected = [](const Context& context, const Operands& at) {
    const LayerNormWeights norm{*at.parameters[2], at.parameters[3].get(), 1e-5};
    return linear(context, {at.inputs[0], &norm}, *at.parameters[0], at.parameters[1].get());
  };
  check_gradients(o, projected);
  Queue queue(2);
  for (const Precision precision : {Precision::f32, Precision::bf16, Precision::int8}) {
    const PrecisionPlan plan{.base = precision, .layers = {}};
    Context context(queue);
    context.precision = &plan;
    const Variable normalised =
        layer_norm(context, o.inputs[0], {*o.parameters[2], o.parameters[3].get(), 1e-5});
    const Tensor before =
        linear(context, normalised, *o.parameters[0], o.parameters[1].get()).value();
    const Tensor within = projected(context, o).value();
    EXPECT_TRUE(std::ranges::equal(before.values(), within.values())) << name_of(precision);
  }
}

struct Gradients {
  Tensor y, dx, dresidual, dw, db;
};

// Of one recorded projection with a residual, in f32 or bf16.
Gradients gradients_in(Precision precision, const Tensor& x, const Tensor& w, const Tensor& dy) {
  Queue queue(2);
  const PrecisionPlan plan = default_plan(precision);
  Tape tape;
  Context context(queue);
  context.tape = &tape;
  context.precision = &plan;
  Parameter weight("weight", w.shape()), bias("bias", {w.size(0)});
  weight.set_value(w.clone());
  bias.set_value(Tensor::full({w.size(0)}, 0.5f));
  const Variable in = Variable::leaf(x.clone()),
                 residual = Variable::leaf(Tensor::zeros(dy.shape()));
  const Variable y = linear(context, in, weight, &bias, {.residual = &residual});
  const Tensor value = y.value();
  tape.backward(queue, y, dy.clone());
  return {value, in.gradient(), residual.gradient(), weight.gradient(), bias.gradient()};
}

// Whole numbers up to 2^8 are bf16 values, so rounding changes nothing and every sum is exact.
TEST(LinearOp, Bf16IsExactOnWholeNumbers) {
  const auto whole = [](const Shape& shape, uint64_t seed) {
    Tensor tensor = testing::random_tensor(shape, seed, -200, 200);
    for (float& value : tensor.values()) value = std::round(value);
    return tensor;
  };
  const Tensor x = whole({3, 7, 5}, 1), w = whole({9, 5}, 2), dy = whole({3, 7, 9}, 3);
  const Gradients exact = gradients_in(Precision::f32, x, w, dy);
  const Gradients rounded = gradients_in(Precision::bf16, x, w, dy);
  for (const auto field :
       {&Gradients::y, &Gradients::dx, &Gradients::dresidual, &Gradients::dw, &Gradients::db}) {
    const auto a = (exact.*field).values(), b = (rounded.*field).values();
    EXPECT_TRUE(std::ranges::equal(a, b));
  }
}

// Two rounded factors are off by 2^-8 together at most, and errors of a sum wander.
TEST(LinearOp, Bf16GradientsAreNearThoseOfF32) {
  const Tensor x = testing::random_tensor({67, 40}, 1), w = testing::random_tensor({50, 40}, 2),
               dy = testing::random_tensor({67, 50}, 3);
  const Gradients exact = gradients_in(Precision::f32, x, w, dy);
  const Gradients rounded = gradients_in(Precision::bf16, x, w, dy);
  for (const auto field : {&Gradients::y, &Gradients::dx, &Gradients::dw}) {
    const double error =
        testing::max_relative_error((rounded.*field).values(), (exact.*field).values());
    EXPECT_LT(error, 0x1p-8);
    EXPECT_GT(error, 0x1p-14) << "nothing was rounded";
  }
  EXPECT_LT(testing::max_relative_error(rounded.db.values(), exact.db.values()), 1e-6);
}

TEST(LinearOp, AParameterUsedTwiceGathersBothGradients) {
  Operands o({{3, 5}}, {{5, 5}, {5}});
  check_gradients(o, [](const Context& context, const Operands& at) {
    const Variable once = linear(context, at.inputs[0], *at.parameters[0], at.parameters[1].get());
    return linear(context, once, *at.parameters[0], at.parameters[1].get());
  });
}

TEST(LinearOp, RefusesShapesThatDoNotFit) {
  Queue queue(1);
  const Context context(queue);
  Operands o({}, {{7, 5}, {6}});
  const Variable x = Tensor::zeros({2, 5}), narrow = Tensor::zeros({2, 4});
  EXPECT_THROW(linear(context, narrow, *o.parameters[0], nullptr), Error);
  EXPECT_THROW(linear(context, x, *o.parameters[0], o.parameters[1].get()), Error);
  EXPECT_THROW(linear(context, x, *o.parameters[0], nullptr, {.residual = &narrow}), Error);
}

}  // namespace
}  // namespace vitrail
