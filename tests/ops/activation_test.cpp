#include "ops/activation.h"

#include <gtest/gtest.h>

#include "support/gradient_check.h"

namespace vitrail {
namespace {

using kernels::Activation;
using testing::check_gradients;
using testing::Operands;

// ReLU apart: a difference across its kink is no derivative.
constexpr Activation kSmooth[] = {
    Activation::gelu, Activation::gelu_tanh, Activation::quick_gelu, Activation::silu,
    Activation::tanh, Activation::sigmoid,   Activation::softplus};

TEST(ActivationOp, GradientsMatchDifferences) {
  for (const Activation kind : kSmooth) {
    Operands o({{3, 11}});
    check_gradients(o, [kind](const Context& context, const Operands& at) {
      return activation(context, at.inputs[0], kind);
    });
  }
}

TEST(ActivationOp, ReluPassesWhatIsPositive) {
  Queue queue(1);
  Context context(queue);
  Tape tape;
  context.tape = &tape;
  const Variable x = Variable::leaf(Tensor::from(std::vector<float>{-1, 2, 0, 3}, {4}));
  tape.backward(queue, activation(context, x, Activation::relu));
  EXPECT_EQ(std::vector<float>(x.gradient().values().begin(), x.gradient().values().end()),
            (std::vector<float>{0, 1, 0, 1}));
}

// At their kinks the slopes are those of torch.
TEST(ActivationOp, HardFunctionsHaveTheSlopesOfTorch) {
  Queue queue(1);
  const std::vector<float> at{-4, -3, -1.5f, 0, 1.5f, 3, 5, 6, 7};
  const auto slopes = [&](Activation kind) {
    Context context(queue);
    Tape tape;
    context.tape = &tape;
    const Variable x = Variable::leaf(Tensor::from(at, {9}));
    tape.backward(queue, activation(context, x, kind));
    return std::vector<float>(x.gradient().values().begin(), x.gradient().values().end());
  };
  const float sixth = 1.0f / 6.0f;
  EXPECT_EQ(slopes(Activation::relu6), (std::vector<float>{0, 0, 0, 0, 1, 1, 1, 0, 0}));
  EXPECT_EQ(slopes(Activation::hard_sigmoid),
            (std::vector<float>{0, 0, sixth, sixth, sixth, 0, 0, 0, 0}));
  EXPECT_EQ(slopes(Activation::hard_swish), (std::vector<float>{0, 0, 0, 0.5f, 1, 1, 1, 1, 1}));
}

TEST(ActivationOp, NoneIsTheInputItself) {
  Queue queue(1);
  const Context context(queue);
  const Variable x = Variable::leaf(Tensor::full({3}, 1));
  EXPECT_EQ(activation(context, x, Activation::none).slot(), x.slot());
}

TEST(GateOp, GradientsMatchDifferences) {
  for (const Activation kind : kSmooth) {
    Operands two({{2, 3, 5}, {2, 3, 5}});
    check_gradients(two, [kind](const Context& context, const Operands& o) {
      return gate(context, o.inputs[0], o.inputs[1], kind);
    });
  }
  for (const bool gate_last : {false, true}) {
    Operands packed({{2, 3, 10}});
    check_gradients(packed, [gate_last](const Context& context, const Operands& o) {
      return gate_packed(context, o.inputs[0], Activation::silu, gate_last);
    });
  }
}

TEST(GateOp, PackedHalvesEqualTwoTensors) {
  Queue queue(1);
  const Context context(queue);
  const Tensor a = testing::random_tensor({4, 6}, 1), b = testing::random_tensor({4, 6}, 2);
  const Tensor packed = Tensor::empty({4, 12});
  for (int64_t row = 0; row < 4; ++row)
    for (int64_t j = 0; j < 6; ++j) {
      packed.f32()[row * 12 + j] = a.f32()[row * 6 + j];
      packed.f32()[row * 12 + 6 + j] = b.f32()[row * 6 + j];
    }
  const auto expect_equal = [](const Variable& x, const Variable& y) {
    EXPECT_EQ(testing::max_relative_error(x.value().values(), y.value().values()), 0);
  };
  expect_equal(gate_packed(context, packed, Activation::silu),
               gate(context, a, b, Activation::silu));
  expect_equal(gate_packed(context, packed, Activation::silu, true),
               gate(context, b, a, Activation::silu));
}

TEST(GateOp, RefusesShapesThatDoNotFit) {
  Queue queue(1);
  const Context context(queue);
  const Variable a = Tensor::zeros({2, 3}), b = Tensor::zeros({2, 4});
  EXPECT_THROW(gate(context, a, b, Activation::silu), Error);
  EXPECT_THROW(gate_packed(context, a, Activation::silu), Error);
}

}  // namespace
}  // namespace vitrail
