// Gradients of differentiable operations against central differences in f32.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "autograd/context.h"
#include "autograd/parameter.h"
#include "support/compare.h"
#include "support/random.h"

namespace vitrail::testing {

struct Operands {
  std::vector<Variable> inputs;
  std::vector<std::unique_ptr<Parameter>> parameters;

  // Random operands of these shapes.
  Operands(const std::vector<Shape>& input_shapes,
           const std::vector<Shape>& parameter_shapes = {}) {
    uint64_t seed = 100;
    for (const Shape& shape : input_shapes)
      inputs.push_back(Variable::leaf(random_tensor(shape, ++seed)));
    for (const Shape& shape : parameter_shapes) {
      parameters.push_back(
          std::make_unique<Parameter>("parameter" + std::to_string(parameters.size()), shape));
      parameters.back()->set_value(random_tensor(shape, ++seed));
    }
  }
};

using Operation = std::function<Variable(const Context&, const Operands&)>;

// Loss sum(y * w) with random w. The numeric side runs without a tape, so it also shows that a
// recorded forward pass computes what inference computes. Differences of f32 losses are good to
// about epsilon / step; `tolerance` is relative to the largest gradient of each operand.
inline void check_gradients(Operands& operands, const Operation& operation, double tolerance = 2e-3,
                            const Context* base = nullptr) {
  Queue queue(2);
  Context inference(queue);
  if (base != nullptr) {
    inference.dropout = base->dropout;
    inference.random = base->random;
  }
  Context training = inference;
  Tape tape;
  training.tape = &tape;
  const Variable y = operation(training, operands);
  ASSERT_TRUE(y.needs_gradient());
  const Tensor plain = operation(inference, operands).value();
  ASSERT_EQ(plain.shape(), y.shape());
  EXPECT_LT(max_relative_error(y.value().values(), plain.values()), 1e-6)
      << "training and inference differ";
  const Tensor weights = random_tensor(y.shape(), 99);
  tape.backward(queue, y, weights.clone());

  const auto loss = [&] {
    const Tensor out = operation(inference, operands).value();
    double sum = 0;
    for (int64_t i = 0; i < out.numel(); ++i) sum += double(out.f32()[i]) * weights.f32()[i];
    return sum;
  };
  const auto compare = [&](const std::string& name, const Tensor& value, const Tensor& gradient,
                           const std::function<void()>& changed) {
    SCOPED_TRACE(name);
    ASSERT_TRUE(gradient.defined());
    ASSERT_EQ(gradient.shape(), value.shape());
    constexpr float kStep = 1.0f / 128;
    std::vector<double> numeric;
    for (float& element : value.values()) {
      const float kept = element;
      element = kept + kStep;
      changed();
      const double above = loss();
      element = kept - kStep;
      changed();
      numeric.push_back((above - loss()) / (2.0 * kStep));
      element = kept;
    }
    changed();
    EXPECT_LT(max_relative_error(gradient.values(), numeric), tolerance);
  };
  for (size_t i = 0; i < operands.inputs.size(); ++i)
    compare("input " + std::to_string(i), operands.inputs[i].value(), operands.inputs[i].gradient(),
            [] {});
  for (const auto& parameter : operands.parameters)
    if (parameter->trainable())
      compare(parameter->path(), parameter->value(), parameter->gradient(),
              [&] { parameter->changed(); });
}

}  // namespace vitrail::testing
