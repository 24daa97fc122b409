#include "autograd/tape.h"

#include <gtest/gtest.h>

#include "autograd/checkpoint.h"
#include "autograd/parameter.h"

namespace vitrail {
namespace {

// y = factor * x, the smallest recorded operation.
Variable times(const Context& context, const Variable& x, float factor) {
  Tensor y = x.value().clone();
  for (float& element : y.values()) element *= factor;
  if (!records(context, {&x})) return y;
  return context.tape->record("times", y, {x},
                              [slot = x.slot(), saved = SavedTensor(x.value()), factor](
                                  Queue& queue, const Tensor& gradient) {
                                (void)saved.get();
                                Tensor dx = gradient.clone();
                                for (float& element : dx.values()) element *= factor;
                                slot->accumulate(queue, dx);
                              });
}

Tensor ones() {
  return Tensor::full({2}, 1.0f);
}

struct Tapes : ::testing::Test {
  Queue queue{1};
  Tape tape;
  Context context{queue};
  void SetUp() override { context.tape = &tape; }
};

TEST_F(Tapes, FansOutAndAccumulates) {
  const Variable x = Variable::leaf(ones());
  Tape outer;
  const Variable a = times(context, x, 3), b = times(context, a, 5);
  tape.backward(queue, b);
  EXPECT_EQ(x.gradient().f32()[1], 15);
  Tape second;
  context.tape = &second;
  second.backward(queue, times(context, x, 2));  // leaves keep what they have
  EXPECT_EQ(x.gradient().f32()[0], 17);
}

TEST_F(Tapes, RecordsNothingForConstants) {
  const Variable y = times(context, Variable(ones()), 3);
  EXPECT_FALSE(y.needs_gradient());
  EXPECT_EQ(tape.num_nodes(), 0u);
  EXPECT_THROW(tape.backward(queue, y), Error);
}

TEST_F(Tapes, IsWalkedOnce) {
  const Variable y = times(context, Variable::leaf(ones()), 3);
  tape.backward(queue, y);
  EXPECT_THROW(tape.backward(queue, y), Error);
}

TEST_F(Tapes, NoticesASavedTensorThatChanged) {
  Tensor value = ones();
  const Variable y = times(context, Variable::leaf(value), 3);
  value.copy_from(Tensor::full({2}, 7.0f));
  EXPECT_THROW(tape.backward(queue, y), Error);
}

// Every kind of write that tape.h names; LinearEpilogue::destination is in
// tests/ops/linear_test.cpp.
TEST_F(Tapes, StoragesAreToldOfWrites) {
  const auto expect_noticed = [](const Tensor& tensor, const std::function<void()>& write) {
    const SavedTensor saved(tensor), part(tensor.rows(0, 1));
    EXPECT_NO_THROW((void)saved.get());
    write();
    EXPECT_THROW((void)saved.get(), Error);
    EXPECT_THROW((void)part.get(), Error);  // the storage is one
  };
  Tensor tensor = ones();
  expect_noticed(tensor, [&] { tensor.copy_from(ones()); });
  expect_noticed(tensor, [&] { tensor.fill_zero(); });
  expect_noticed(tensor, [&] { tensor.rows(1, 2).fill_zero(); });
  Parameter parameter("w", {2});
  parameter.set_value(ones());
  expect_noticed(parameter.value(), [&] { parameter.changed(); });
  GradientSlot slot;
  slot.accumulate(queue, ones());
  expect_noticed(slot.gradient(), [&] { slot.accumulate(queue, ones()); });
  expect_noticed(slot.gradient(), [&] { slot.accumulator({2}); });
}

TEST_F(Tapes, WalksFromSeveralOutputsAtOnce) {
  const Variable x = Variable::leaf(ones());
  const Variable a = times(context, x, 3), b = times(context, a, 5);
  const std::vector<Tape::Seed> seeds{{a, Tensor::full({2}, 2.0f)}, {b, {}}};
  tape.backward(queue, seeds);
  EXPECT_EQ(x.gradient().f32()[0], 3 * 2 + 3 * 5);
}

TEST_F(Tapes, TellsWhenAGradientIsComplete) {
  Parameter parameter("w", {2});
  parameter.set_value(ones());
  std::vector<float> seen;
  parameter.slot()->on_ready = [&] { seen.push_back(parameter.gradient().f32()[0]); };
  // Used twice: ready only after the earlier use, which is walked last.
  const Variable first = times(context, parameter.variable(), 2);
  const Variable second = times(context, parameter.variable(), 10);
  const Variable sum =
      tape.record("sum", ones(), {first, second},
                  [a = first.slot(), b = second.slot()](Queue& q, const Tensor& gradient) {
                    a->accumulate(q, gradient.clone());
                    b->accumulate(q, gradient.clone());
                  });
  tape.backward(queue, sum);
  EXPECT_EQ(seen, std::vector<float>{12});
}

TEST_F(Tapes, CheckpointGivesTheSameGradientsAndSavesNothing) {
  const auto segment = [](const Context& inner, const Variable& x) {
    return times(inner, times(inner, x, 3), 7);
  };
  const Variable x = Variable::leaf(ones());
  const Variable y = checkpoint(context, times(context, x, 2), segment);
  EXPECT_EQ(tape.num_nodes(), 2u);  // one for the whole segment
  EXPECT_EQ(y.value().f32()[0], 42);
  tape.backward(queue, y);
  EXPECT_EQ(x.gradient().f32()[0], 42);
}

// y = a + b, the smallest operation of two.
Variable plus(const Context& context, const Variable& a, const Variable& b) {
  Tensor y = a.value().clone();
  for (int64_t i = 0; i < y.numel(); ++i) y.f32()[i] += b.value().f32()[i];
  if (!records(context, {&a, &b})) return y;
  return context.tape->record("plus", y, {a, b}, [a, b](Queue& queue, const Tensor& gradient) {
    for (const Variable* side : {&a, &b})
      if (side->needs_gradient()) side->slot()->accumulate(queue, gradient.clone());
  });
}

// (a, b, c) to (3 a + b, 7 (3 a + b), b, c): two outputs are made, one input is handed through, and
// one is a constant.
std::vector<Variable> several(const Context& context, std::span<const Variable> inputs) {
  const Variable first = plus(context, times(context, inputs[0], 3), inputs[1]);
  return {first, times(context, first, 7), inputs[1], inputs[2]};
}

TEST_F(Tapes, CheckpointsHaveSeveralInputsAndOutputs) {
  const Variable constant(ones());
  // Which outputs go on, and what that makes of the gradients of a and b.
  struct Use {
    std::vector<size_t> outputs;
    float da, db;
  };
  for (const Use& use : {Use{{0}, 3, 1}, Use{{1}, 21, 7}, Use{{0, 1}, 24, 8}, Use{{0, 0, 1}, 27, 9},
                         Use{{2}, 0, 1}, Use{{1, 2, 3}, 21, 8}}) {
    Tape own;
    context.tape = &own;
    const Variable a = Variable::leaf(ones()), b = Variable::leaf(ones());
    const std::vector<Variable> inputs{a, b, constant};
    const std::vector<Variable> outputs = checkpoint(context, inputs, several);
    ASSERT_EQ(outputs.size(), 4u);
    EXPECT_EQ(own.num_nodes(), 3u);  // one for each output that was made, one for both
    EXPECT_EQ(outputs[0].value().f32()[1], 4);
    EXPECT_EQ(outputs[1].value().f32()[1], 28);
    EXPECT_EQ(outputs[2].slot(), b.slot());
    EXPECT_FALSE(outputs[3].needs_gradient());
    Variable sum = times(context, outputs[use.outputs[0]], 1);
    for (size_t i = 1; i < use.outputs.size(); ++i)
      sum = plus(context, sum, outputs[use.outputs[i]]);
    own.backward(queue, sum);
    if (use.da == 0)
      EXPECT_FALSE(a.gradient().defined());
    else
      EXPECT_EQ(a.gradient().f32()[1], use.da);
    EXPECT_EQ(b.gradient().f32()[1], use.db);
  }
}

TEST_F(Tapes, ACheckpointOfConstantsIsAConstant) {
  const std::vector<Variable> inputs{ones(), ones(), ones()};
  for (const Variable& output : checkpoint(context, inputs, several))
    EXPECT_FALSE(output.needs_gradient());
  EXPECT_EQ(tape.num_nodes(), 0u);
  context.tape = nullptr;
  EXPECT_EQ(checkpoint(context, inputs, several)[1].value().f32()[0], 28);
}

TEST_F(Tapes, ACheckpointNoticesAnInputThatChanged) {
  Tensor value = ones();
  const std::vector<Variable> inputs{Variable::leaf(value), ones(), ones()};
  const Variable y = checkpoint(context, inputs, several)[1];
  value.copy_from(ones());
  EXPECT_THROW(tape.backward(queue, y), Error);
}

TEST_F(Tapes, CheckpointsNest) {
  const Variable x = Variable::leaf(ones());
  const Segment outer = [](const Context& inner, std::span<const Variable> inputs) {
    const std::vector<Variable> three{inputs[0], times(inner, inputs[0], 2), ones()};
    const std::vector<Variable> made = checkpoint(inner, three, several);
    return std::vector<Variable>{plus(inner, made[0], made[1])};
  };
  tape.backward(queue, checkpoint(context, std::span(&x, 1), outer)[0]);
  EXPECT_EQ(x.gradient().f32()[0], 8 * 5);
}

TEST_F(Tapes, AParameterInACheckpointIsReadyOnce) {
  Parameter parameter("w", {2});
  parameter.set_value(ones());
  int ready = 0;
  parameter.slot()->on_ready = [&] { ++ready; };
  const Variable y =
      checkpoint(context, Variable::leaf(ones()), [&](const Context& inner, const Variable& x) {
        const Variable w = times(inner, parameter.variable(), 5);
        return inner.tape->record("first", w.value(), {w, x},
                                  [slot = w.slot()](Queue& q, const Tensor& gradient) {
                                    slot->accumulate(q, gradient.clone());
                                  });
      });
  EXPECT_EQ(ready, 0);
  tape.backward(queue, y);
  EXPECT_EQ(ready, 1);
  EXPECT_EQ(parameter.gradient().f32()[0], 5);
}

TEST(Parameter, RebuildsDerivedFormsWhenItsValueChanges) {
  Parameter parameter("w", {2});
  EXPECT_THROW(parameter.value(), Error);
  EXPECT_THROW(parameter.set_value(Tensor::full({3}, 1.0f)), Error);
  parameter.set_value(ones());
  int built = 0;
  const auto doubled = [&] {
    return *parameter.derived<float>("doubled", [&](const Tensor& value) {
      ++built;
      return 2 * value.f32()[0];
    });
  };
  EXPECT_EQ(doubled(), 2);
  EXPECT_EQ(doubled(), 2);
  EXPECT_EQ(built, 1);
  parameter.value().f32()[0] = 4;
  parameter.changed();
  EXPECT_EQ(doubled(), 8);
  parameter.release_source();
  EXPECT_EQ(doubled(), 8);
  EXPECT_THROW(parameter.value(), Error);
}

struct QuantizedParameter : ::testing::Test {
  Parameter parameter{"w", {2, 3, 1}};
  Tensor integers = Tensor::empty({2, 3, 1}, DType::i8);
  void SetUp() override {
    for (int i = 0; i < 6; ++i) integers.data<int8_t>()[i] = static_cast<int8_t>(i - 3);
    parameter.set_quantized(integers, Tensor::from(std::vector<float>{0.5f, 2.0f}, {2}));
  }
};

TEST_F(QuantizedParameter, IsReadAsIntegersAndAsFloats) {
  EXPECT_TRUE(parameter.has_value());
  ASSERT_NE(parameter.quantized(), nullptr);
  EXPECT_EQ(parameter.quantized()->values.shape(), (Shape{2, 3}));
  const auto first = *parameter.derived<int>(
      "first", [&] { return int{parameter.quantized()->values.data<int8_t>()[0]}; });
  EXPECT_EQ(first, -3);
  const std::vector<float> expected{-1.5f, -1.0f, -0.5f, 0.0f, 2.0f, 4.0f};
  const Tensor value = parameter.variable().value();
  EXPECT_EQ(value.shape(), (Shape{2, 3, 1}));
  EXPECT_EQ(std::vector<float>(value.values().begin(), value.values().end()), expected);
  EXPECT_EQ(parameter.value().raw(), value.raw());  // made once
  EXPECT_NE(parameter.quantized(), nullptr);
}

TEST_F(QuantizedParameter, AnotherValueTakesThePlaceOfTheIntegers) {
  parameter.value().f32()[0] = 7;
  parameter.changed();
  EXPECT_EQ(parameter.quantized(), nullptr);
  EXPECT_EQ(parameter.value().f32()[0], 7);
  SetUp();
  EXPECT_EQ(parameter.value().f32()[0], -1.5f);
  parameter.set_value(Tensor::full({2, 3, 1}, 1.0f));
  EXPECT_EQ(parameter.quantized(), nullptr);
  EXPECT_EQ(parameter.value().f32()[0], 1);
}

TEST_F(QuantizedParameter, IsLetGoWithItsIntegers) {
  parameter.release_source();
  EXPECT_FALSE(parameter.has_value());
  EXPECT_FALSE(parameter.variable().defined());
  EXPECT_EQ(parameter.quantized(), nullptr);
  EXPECT_THROW(parameter.value(), Error);
}

TEST_F(QuantizedParameter, RefusesWhatDoesNotFit) {
  const Tensor scales = Tensor::full({2}, 1.0f);
  EXPECT_THROW(parameter.set_quantized(Tensor::zeros({2, 3}, DType::i8), scales), Error);
  EXPECT_THROW(parameter.set_quantized(Tensor::zeros({2, 3, 1}), scales), Error);
  EXPECT_THROW(parameter.set_quantized(integers, Tensor::full({3}, 1.0f)), Error);
}

}  // namespace
}  // namespace vitrail
