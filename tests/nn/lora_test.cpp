#include "nn/lora.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "ops/elementwise.h"
#include "support/compare.h"
#include "support/gradient_check.h"
#include "support/random.h"

namespace vitrail {
namespace {

using testing::max_relative_error;
using testing::random_tensor;

constexpr int64_t kInputs = 6, kOutputs = 5, kRank = 2;

struct Adapted {
  ParameterRegistry registry;
  std::unique_ptr<LoraLinear> layer;
  std::unique_ptr<Parameter> gamma = std::make_unique<Parameter>("gamma", Shape{kOutputs});

  Adapted() {
    layer = std::make_unique<LoraLinear>(
        registry, "fc", std::make_unique<Linear>(Scope(registry).child("fc"), kInputs, kOutputs),
        LoraOptions{.rank = kRank, .alpha = 3});
    uint64_t seed = 10;
    for (const auto& parameter : registry.all())
      parameter->set_value(random_tensor(parameter->shape(), ++seed));
    gamma->set_value(random_tensor({kOutputs}, 5));
  }
};

TEST(Lora, StartsAsTheProjectionThatItStandsFor) {
  ParameterRegistry registry;
  auto plain = std::make_unique<Linear>(Scope(registry).child("fc"), kInputs, kOutputs);
  registry.initialise(1);
  const Tensor x = random_tensor({4, kInputs}, 2);
  Queue queue(1);
  const Context context(queue);
  const Tensor before = plain->forward(context, Variable(x)).value();
  const LoraLinear layer(registry, "fc", std::move(plain), {.rank = kRank});
  registry.initialise(1);
  EXPECT_EQ(registry.at("fc.lora_A.weight").shape(), (Shape{kRank, kInputs}));
  const Tensor after = layer.forward(context, Variable(x)).value();
  EXPECT_EQ(max_relative_error(after.values(), before.values()), 0);
}

// Every way the epilogue may go, each against central differences in x, A and B.
TEST(Lora, GradientsWithEveryEpilogue) {
  for (const bool residual : {false, true})
    for (const bool scaled : {false, true})
      for (const auto activation : {kernels::Activation::none, kernels::Activation::gelu}) {
        SCOPED_TRACE(::testing::Message() << residual << scaled << static_cast<int>(activation));
        Adapted adapted;
        testing::Operands operands({{3, kInputs}, {3, kOutputs}});
        // The check owns parameters, so the layer's take their values' places.
        testing::check_gradients(operands, [&](const Context& context, const testing::Operands& o) {
          const LinearEpilogue epilogue{.activation = activation,
                                        .layer_scale = scaled ? adapted.gamma.get() : nullptr,
                                        .residual = residual ? &o.inputs[1] : nullptr,
                                        .path = "fc"};
          const Variable y = adapted.layer->forward(context, o.inputs[0], epilogue);
          return residual ? y : add(context, y, o.inputs[1]);
        });
        // The thin matrices: dL/dA and dL/dB of a random loss, by the same differences.
        const Tensor x = random_tensor({3, kInputs}, 20), seed = random_tensor({3, kOutputs}, 21);
        const auto forward = [&](Tape* tape) {
          Queue queue(1);
          Context context(queue);
          context.tape = tape;
          const Variable y = adapted.layer->forward(context, Variable(x),
                                                    {.activation = activation, .path = "fc"});
          if (tape != nullptr) tape->backward(queue, y, seed.clone());
          double loss = 0;
          for (int64_t i = 0; i < seed.numel(); ++i)
            loss += double(y.value().f32()[i]) * seed.f32()[i];
          return loss;
        };
        adapted.registry.clear_gradients();
        Tape tape;
        forward(&tape);
        for (Parameter* parameter : {&adapted.layer->a(), &adapted.layer->b()}) {
          std::vector<double> numeric;
          for (float& element : parameter->value().values()) {
            constexpr float kStep = 1.0f / 128;
            const float kept = element;
            element = kept + kStep;
            parameter->changed();
            const double above = forward(nullptr);
            element = kept - kStep;
            parameter->changed();
            numeric.push_back((above - forward(nullptr)) / (2.0 * kStep));
            element = kept;
            parameter->changed();
          }
          EXPECT_LT(max_relative_error(parameter->gradient().values(), numeric), 2e-3)
              << parameter->path();
        }
      }
}

TEST(Lora, MergedWeightAnswersAlike) {
  Adapted adapted;
  const Tensor x = random_tensor({7, kInputs}, 3);
  Queue queue(2);
  const Context context(queue);
  const Tensor beside = adapted.layer->forward(context, Variable(x)).value();
  const Tensor merged = adapted.layer->merged_weight(queue);
  auto base = adapted.layer->take_base();
  base->weight().set_value(merged);
  const Tensor inside = base->forward(context, Variable(x)).value();
  EXPECT_LT(max_relative_error(inside.values(), beside.values()), 1e-5);
}

TEST(Lora, RefusesARankThatDoesNotFit) {
  ParameterRegistry registry;
  auto plain = std::make_unique<Linear>(Scope(registry).child("fc"), kInputs, kOutputs);
  EXPECT_THROW(LoraLinear(registry, "fc", std::move(plain), {.rank = kOutputs + 1}), Error);
}

}  // namespace
}  // namespace vitrail
