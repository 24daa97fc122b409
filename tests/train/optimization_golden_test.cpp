// Schedules, optimizers, layer-wise decay and averaged weights against timm's and torch's.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "formats/json.h"
#include "models/vit.h"
#include "train/optimizer/ema.h"
#include "train/optimizer/optimizer.h"
#include "train/optimizer/schedule.h"

namespace vitrail {
namespace {

const Json& golden() {
  static const Json json =
      read_json(std::filesystem::path(VITRAIL_SOURCE_DIR) / "tests/golden/train/optimization.json");
  return json;
}

// The generator's inputs.
Tensor golden_values(const Shape& shape, int64_t start = 0) {
  Tensor values = Tensor::empty(shape);
  for (int64_t i = 0; i < values.numel(); ++i)
    values.f32()[i] = static_cast<float>((i + start) * 37 % 101) / 64.0f - 0.75f;
  return values;
}

double largest_difference(const Tensor& tensor, const Json& expected) {
  double largest = 0;
  EXPECT_EQ(static_cast<size_t>(tensor.numel()), expected.size());
  for (size_t i = 0; i < expected.size(); ++i)
    largest = std::max(largest, std::abs(tensor.f32()[i] - expected[i].get<double>()));
  return largest;
}

TEST(OptimizationGolden, Schedules) {
  const auto follows = [](const char* name, const Schedule& schedule) {
    const Json& rates = golden()["schedules"][name];
    for (size_t step = 0; step < rates.size(); ++step)
      EXPECT_NEAR(schedule.at(static_cast<int64_t>(step)), rates[step].get<double>(), 1e-12)
          << name << " at " << step;
  };
  follows("cosine", {.learning_rate = 0.5,
                     .min_learning_rate = 0.01,
                     .warmup_steps = 6,
                     .warmup_learning_rate = 0.002,
                     .cooldown_steps = 8,
                     .total_steps = 40});
  follows("step", {.kind = ScheduleKind::step,
                   .learning_rate = 0.5,
                   .warmup_steps = 5,
                   .warmup_learning_rate = 0.002,
                   .total_steps = 40,
                   .decay_steps = 7,
                   .decay_rate = 0.3});
  follows("one_cycle", {.kind = ScheduleKind::one_cycle,
                        .learning_rate = 0.5,
                        .min_learning_rate = 0.5 / 20 / 5,
                        .total_steps = 40,
                        .one_cycle_divisor = 20});
  follows("linear", {.kind = ScheduleKind::linear,
                     .learning_rate = 0.5,
                     .min_learning_rate = 0.01,
                     .total_steps = 40});
  follows("constant", {.kind = ScheduleKind::constant,
                       .learning_rate = 0.5,
                       .warmup_steps = 4,
                       .warmup_learning_rate = 0.1,
                       .total_steps = 40});
}

using Kind = ParameterRole::Kind;
using TakenAs = ParameterRole::Muon;
constexpr ParameterRole kVector{Kind::bias, TakenAs::none, {}};
constexpr ParameterRole kHead{Kind::matrix, TakenAs::none, {}};
constexpr ParameterRole kBlock{Kind::matrix, TakenAs::matrix, {}};
constexpr ParameterRole kFirstFilter{Kind::filter, TakenAs::none, {}};
constexpr ParameterRole kFilter{Kind::filter, TakenAs::filter, {}};
constexpr ParameterRole kNormalisedFilter{Kind::filter, TakenAs::normalised_filter, {}};

// The parameter after four steps with the generator's gradients.
Tensor stepped(const ParameterRole& role, const Shape& shape, double rate,
               const OptimizerOptions& options) {
  Queue queue(2);
  ParameterRegistry registry;
  Parameter& parameter = registry.add("w", shape, Initializer::zeros(), role);
  parameter.set_value(golden_values(shape));
  const auto optimizer = make_optimizer(registry, options);
  for (int64_t step = 1; step <= 4; ++step) {
    registry.clear_gradients();
    Tensor gradient = golden_values(shape, shape.numel() * step);
    for (float& value : gradient.values()) value *= 4;  // as clipping would have it
    parameter.slot()->accumulate(queue, gradient);
    optimizer->step(queue, rate, 0.25);
  }
  return parameter.value();
}

TEST(OptimizationGolden, Sgd) {
  for (const Json& one : golden()["sgd"]) {
    const Tensor after = stepped(kVector, {19}, 0.05,
                                 {.kind = OptimizerKind::sgd,
                                  .weight_decay = one["weight_decay"].get<double>(),
                                  .decay_all = true,
                                  .momentum = one["momentum"].get<double>(),
                                  .nesterov = one["nesterov"].get<bool>()});
    EXPECT_LT(largest_difference(after, one["values"]), 1e-6);
  }
}

TEST(OptimizationGolden, Muon) {
  for (const Json& one : golden()["muon"]) {
    SCOPED_TRACE(one["shape"].dump());
    const Shape shape{one["shape"][0].get<int64_t>(), one["shape"][1].get<int64_t>()};
    const Tensor after = stepped(kBlock, shape, 0.02,
                                 {.kind = OptimizerKind::muon,
                                  .weight_decay = 0.1,
                                  .momentum = 0.9,
                                  .nesterov = one["nesterov"].get<bool>(),
                                  .match_adamw = one["match"].get<bool>()});
    EXPECT_LT(largest_difference(after, one["values"]), 2e-5);
    // torch itself iterates in bfloat16, whose direction is good to some percent.
    EXPECT_LT(largest_difference(after, one["bfloat16"]), 0.01);
  }
}

TEST(Muon, TakesFiltersAsMatrices) {
  const OptimizerOptions muon{.kind = OptimizerKind::muon};
  const Tensor matrix = stepped(kBlock, {6, 36}, 0.01, muon);
  for (const ParameterRole& role : {kNormalisedFilter, kFilter})
    EXPECT_EQ(std::memcmp(stepped(role, {6, 4, 3, 3}, 0.01, muon).raw(), matrix.raw(),
                          216 * sizeof(float)),
              0);
  const OptimizerOptions adamw{};
  EXPECT_EQ(
      std::memcmp(stepped(kFirstFilter, {6, 4, 3, 3}, 0.01, muon).raw(),
                  stepped(kFirstFilter, {6, 4, 3, 3}, 0.01, adamw).raw(), 216 * sizeof(float)),
      0);
}

TEST(Muon, KeepsTheNormOfFiltersBehindANormalisation) {
  const Shape shape{6, 4, 3, 3};
  const OptimizerOptions options{
      .kind = OptimizerKind::muon, .momentum = 0, .match_adamw = false, .filter_rate = 10};
  const Tensor after = stepped(kNormalisedFilter, shape, 0.02, options);
  Queue queue(2);
  std::vector<double> expected(216);
  const Tensor first = golden_values(shape);
  std::ranges::copy(first.values(), expected.begin());
  for (int64_t step = 1; step <= 4; ++step) {
    double squares = 0;
    for (const double value : expected) squares += value * value;
    const Tensor direction = orthogonalised(queue, golden_values({6, 36}, shape.numel() * step));
    for (size_t i = 0; i < expected.size(); ++i)
      expected[i] =
          expected[i] * std::sqrt(6 / squares) - 0.2 * static_cast<double>(direction.f32()[i]);
  }
  for (size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(after.f32()[i], expected[i], 1e-5) << i;
  // Decay has no say in it; other matrices take no part.
  OptimizerOptions decayed = options, without = options;
  decayed.weight_decay = 0.5;
  without.filter_rate = 0;
  EXPECT_EQ(std::memcmp(stepped(kNormalisedFilter, shape, 0.02, decayed).raw(), after.raw(),
                        216 * sizeof(float)),
            0);
  for (const ParameterRole& role : {kFilter, kBlock}) {
    const Shape of = role.kind == Kind::filter ? shape : Shape{6, 36};
    EXPECT_EQ(std::memcmp(stepped(role, of, 0.02, options).raw(),
                          stepped(role, of, 0.02, without).raw(), 216 * sizeof(float)),
              0);
  }
}

TEST(Muon, LeavesWhatIsNoMatrixOfABlockToAdamW) {
  const Shape shape{6, 10};
  const OptimizerOptions muon{.kind = OptimizerKind::muon}, adamw{};
  EXPECT_EQ(std::memcmp(stepped(kHead, shape, 0.01, muon).raw(),
                        stepped(kHead, shape, 0.01, adamw).raw(), 60 * sizeof(float)),
            0);
  EXPECT_NE(std::memcmp(stepped(kBlock, shape, 0.01, muon).raw(),
                        stepped(kBlock, shape, 0.01, adamw).raw(), 60 * sizeof(float)),
            0);
}

TEST(Muon, GivesAdamWItsOwnShareOfTheRate) {
  const OptimizerOptions eighth{.kind = OptimizerKind::muon, .adamw_rate = 0.125};
  const OptimizerOptions muon{.kind = OptimizerKind::muon}, adamw{};
  const Shape shape{6, 10};
  const auto same = [&](const ParameterRole& role, const OptimizerOptions& other, double rate) {
    return std::memcmp(stepped(role, shape, 0.5, eighth).raw(),
                       stepped(role, shape, rate, other).raw(), 60 * sizeof(float)) == 0;
  };
  EXPECT_TRUE(same(kHead, adamw, 0.0625));
  EXPECT_FALSE(same(kHead, adamw, 0.5));
  EXPECT_TRUE(same(kBlock, muon, 0.5));
}

TEST(OptimizationGolden, LayerWiseDecay) {
  VitConfig config;
  config.image_height = config.image_width = 8;
  config.patches.patch_height = config.patches.patch_width = 4;
  config.embed_dim = 8;
  config.depth = 3;
  config.block.attention.num_heads = 2;
  config.num_classes = 3;
  config.tokens.register_tokens = 2;
  const VisionTransformer model(config);
  const Json& expected = golden()["layers"];
  const std::vector<Trained> trained =
      trained_parameters(model.parameters(), {.weight_decay = 0.05, .layer_decay = 0.7});
  EXPECT_EQ(trained.size(), expected.size());
  for (const Trained& one : trained) {
    const std::string& path = one.parameter->path();
    ASSERT_TRUE(expected.contains(path)) << path;
    EXPECT_NEAR(one.rate, expected[path][0].get<double>(), 1e-12) << path;
    EXPECT_EQ(one.weight_decay, expected[path][1].get<double>()) << path;
  }
}

TEST(OptimizationGolden, AveragedWeights) {
  for (const Json& one : golden()["ema"]) {
    Queue queue(2);
    ParameterRegistry registry;
    Parameter& parameter = registry.add("w", {19}, Initializer::zeros(), kVector);
    parameter.set_value(golden_values({19}));
    Ema ema(registry, {.decay = one["decay"].get<double>(), .warmup = one["warmup"].get<bool>()});
    for (int64_t step = 0; step < 8; ++step) {
      parameter.set_value(golden_values({19}, 19 * (step + 1)));
      EXPECT_NEAR(ema.decay_at(step), one["decays"][static_cast<size_t>(step)].get<double>(),
                  1e-12);
      ema.update(queue, step);
    }
    EXPECT_LT(largest_difference(ema.state()[0].second, one["values"]), 1e-6);
    const Tensor plain = parameter.value();
    {
      const Ema::InPlace averaged(&ema);
      EXPECT_LT(largest_difference(parameter.value(), one["values"]), 1e-6);
    }
    EXPECT_EQ(parameter.value().raw(), plain.raw());
  }
}

TEST(Freeze, StopsTrainingWhatMatches) {
  ParameterRegistry registry;
  for (const char* path : {"cls_token", "blocks.0.w", "blocks.1.w", "head.weight"})
    registry.add(path, {2}, Initializer::zeros(), kVector);
  EXPECT_EQ(freeze(registry, "cls_token,blocks.0.*"), 2);
  EXPECT_FALSE(registry.at("blocks.0.w").trainable());
  EXPECT_TRUE(registry.at("blocks.1.w").trainable());
  EXPECT_EQ(trained_parameters(registry, {}).size(), 2u);
  EXPECT_THROW(freeze(registry, "block.0.*"), Error);
  EXPECT_THROW(freeze(registry, "*"), Error);
}

}  // namespace
}  // namespace vitrail
