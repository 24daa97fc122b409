#include "ops/layer_norm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/errors.h"
#include "support/gradient_check.h"

namespace vitrail {
namespace {

using testing::check_gradients;
using testing::Operands;

TEST(LayerNormOp, GradientsMatchDifferences) {
  Operands both({{2, 3, 9}}, {{9}, {9}});
  check_gradients(both, [](const Context& context, const Operands& o) {
    return layer_norm(context, o.inputs[0], {*o.parameters[0], o.parameters[1].get(), 1e-5});
  });
  Operands no_beta({{4, 7}}, {{7}});
  check_gradients(no_beta, [](const Context& context, const Operands& o) {
    return layer_norm(context, o.inputs[0], {*o.parameters[0], nullptr, 1e-5});
  });
}

TEST(LayerNormOp, FrozenWeightsStillPassGradientsToTheInput) {
  Operands o({{2, 5}}, {{5}, {5}});
  o.parameters[0]->set_trainable(false);
  o.parameters[1]->set_trainable(false);
  Queue queue(1);
  Context context(queue);
  Tape tape;
  context.tape = &tape;
  const Variable y =
      layer_norm(context, o.inputs[0], {*o.parameters[0], o.parameters[1].get(), 1e-5});
  tape.backward(queue, y);
  EXPECT_TRUE(o.inputs[0].gradient().defined());
  EXPECT_FALSE(o.parameters[0]->gradient().defined());
}

TEST(LayerNormOp, VariantsMatchDifferences) {
  Operands plain({{2, 3, 5}}), rms({{2, 3, 5}}, {{5}}), plain_rms({{2, 3, 5}});
  Operands maps({{2, 5, 3, 2}}, {{5}, {5}});
  check_gradients(plain, [](const Context& context, const Operands& o) {
    return plain_layer_norm(context, o.inputs[0], 1e-5);
  });
  check_gradients(rms, [](const Context& context, const Operands& o) {
    return rms_norm(context, o.inputs[0], o.parameters[0].get(), 1e-5);
  });
  check_gradients(plain_rms, [](const Context& context, const Operands& o) {
    return rms_norm(context, o.inputs[0], nullptr, 1e-5);
  });
  check_gradients(maps, [](const Context& context, const Operands& o) {
    return layer_norm_2d(context, o.inputs[0], {*o.parameters[0], o.parameters[1].get(), 1e-6});
  });
}

// The definitions of torch.nn.RMSNorm, and of LayerNorm over the channels of [B, C, H, W].
TEST(LayerNormOp, VariantsAreTheirDefinitions) {
  Queue queue(1);
  const Context context(queue);
  Operands o({{2, 5, 3, 4}}, {{4}, {5}, {5}});
  const Tensor& x = o.inputs[0].value();
  const double epsilon = 0.1;  // large, so that its place shows
  std::vector<double> rms, maps;
  for (int64_t i = 0; i < x.numel(); ++i) {
    double squares = 0, sum = 0, differences = 0;
    for (int64_t j = i / 4 * 4; j < i / 4 * 4 + 4; ++j) squares += double(x.f32()[j]) * x.f32()[j];
    rms.push_back(x.f32()[i] / std::sqrt(squares / 4 + epsilon) *
                  o.parameters[0]->value().f32()[i % 4]);
    const int64_t pixel = i / 60 * 60 + i % 12, channel = i % 60 / 12;
    for (int64_t c = 0; c < 5; ++c) sum += x.f32()[pixel + c * 12];
    for (int64_t c = 0; c < 5; ++c) {
      const double difference = x.f32()[pixel + c * 12] - sum / 5;
      differences += difference * difference;
    }
    maps.push_back((x.f32()[i] - sum / 5) / std::sqrt(differences / 5 + epsilon) *
                       o.parameters[1]->value().f32()[channel] +
                   o.parameters[2]->value().f32()[channel]);
  }
  EXPECT_LT(testing::max_relative_error(
                rms_norm(context, x, o.parameters[0].get(), epsilon).value().values(), rms),
            10 * testing::kEpsilon);
  EXPECT_LT(testing::max_relative_error(
                layer_norm_2d(context, x, {*o.parameters[1], o.parameters[2].get(), epsilon})
                    .value()
                    .values(),
                maps),
            10 * testing::kEpsilon);
}

TEST(LayerNormOp, RefusesShapesThatDoNotFit) {
  Operands o({{2, 5}}, {{4}, {5}});
  Queue queue(1);
  const Context context(queue);
  EXPECT_THROW(layer_norm(context, o.inputs[0], {*o.parameters[0], nullptr, 1e-5}), Error);
  EXPECT_THROW(layer_norm(context, o.inputs[0], {*o.parameters[1], o.parameters[0].get(), 1e-5}),
               Error);
  EXPECT_ERROR(rms_norm(context, o.inputs[0], o.parameters[0].get()), "does not fit an input");
  EXPECT_ERROR(layer_norm_2d(context, o.inputs[0], {*o.parameters[1]}), "must be [B, C, H, W]");
  EXPECT_ERROR(plain_layer_norm(context, Tensor::zeros({})), "no last axis");
}

}  // namespace
}  // namespace vitrail
