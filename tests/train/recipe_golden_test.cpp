// Fifty steps with AdamW, mixup and averaged weights against PyTorch's and timm's.
#include <gtest/gtest.h>

#include <cmath>

#include "data/mix.h"
#include "formats/json.h"
#include "models/vit.h"
#include "ops/softmax_cross_entropy.h"
#include "train/methods/supervised.h"
#include "train/optimizer/ema.h"
#include "train/run/learner.h"

namespace vitrail {
namespace {

constexpr int64_t kBatch = 8, kSize = 16, kGoldenClasses = 5;

// In [0, 1): the generator's integer hash of (index, seed).
double uniform(uint32_t index, uint32_t seed) {
  uint32_t x = index * 0x9E3779B1u + seed * 0x85EBCA77u;
  x ^= x >> 15;
  x *= 0x2C1B3C6Du;
  x ^= x >> 12;
  x *= 0x297A2D39u;
  x ^= x >> 15;
  return x / 4294967296.0;
}

uint32_t path_seed(const std::string& path) {
  uint32_t value = 2166136261u;
  for (const char c : path) value = (value ^ static_cast<uint8_t>(c)) * 16777619u;
  return value;
}

Tensor weight(const std::string& path, const Shape& shape) {
  Tensor value = Tensor::empty(shape);
  const uint32_t seed = path_seed(path);
  const bool gain = path.find("norm") != std::string::npos && path.ends_with("weight");
  for (int64_t i = 0; i < value.numel(); ++i) {
    double noise = -2;
    for (uint32_t k = 0; k < 4; ++k) noise += uniform(static_cast<uint32_t>(i), seed + k);
    value.f32()[i] =
        static_cast<float>((gain ? 1.0 : 0.0) + (shape.rank() == 1 ? 0.05 : 0.25) * noise);
  }
  return value;
}

Batch batch_at(uint32_t step) {
  Batch batch;
  batch.images = Tensor::empty({kBatch, 3, kSize, kSize});
  batch.labels = Tensor::empty({kBatch}, DType::i64);
  uint32_t at = 0;
  for (int64_t b = 0; b < kBatch; ++b) {
    const auto label = static_cast<int64_t>(uniform(static_cast<uint32_t>(b), 1000 + step) * 5);
    batch.labels.data<int64_t>()[b] = label;
    for (int64_t row = 0; row < 3 * kSize; ++row)
      for (int64_t x = 0; x < kSize; ++x, ++at)
        batch.images.f32()[at] = static_cast<float>(static_cast<double>((x + 3 * label) % 7) / 3.0 -
                                                    1 + uniform(at, 2000 + step));
  }
  return batch;
}

Batch mixed_batch(uint32_t step) {
  Batch batch = batch_at(step);
  const std::vector<MixDraw> draws(kBatch, MixDraw{.lambda = 0.5 + 0.05 * (step % 10)});
  batch.targets = mix_targets(batch.labels, kGoldenClasses, 0, draws);
  mix_images(batch.images, draws);
  return batch;
}

TEST(RecipeGolden, FiftyStepsOfMixupWithAveragedWeights) {
  const Json golden =
      read_json(std::filesystem::path(VITRAIL_SOURCE_DIR) / "tests/golden/train/recipe.json");
  const TrainConfig config = train_config_from_json(golden["train"]);
  VisionTransformer model(as_vit(config.model));
  for (const auto& parameter : model.parameters().all())
    parameter->set_value(weight(parameter->path(), parameter->shape()));
  SupervisedMethod method(model, loss_options(config));
  const auto steps = static_cast<int64_t>(golden["losses"].size());
  Learner learner(method, {.optimizer = {.weight_decay = config.weight_decay},
                           .schedule = {.learning_rate = config.learning_rate,
                                        .min_learning_rate = config.min_learning_rate,
                                        .warmup_steps = 5,
                                        .total_steps = steps},
                           .clip_norm = config.clip_norm});
  Ema ema(model.parameters(), {.decay = config.ema_decay, .warmup = config.ema_warmup});
  Queue queue(2);
  const Batch held_out = batch_at(999);
  for (int64_t step = 0; step < steps; ++step) {
    const StepResult result =
        learner.step(queue, mixed_batch(static_cast<uint32_t>(step)), {.step = step});
    ema.update(queue, step);
    EXPECT_NEAR(result.loss, golden["losses"][static_cast<size_t>(step)].get<double>(), 1e-3)
        << "step " << step;
    if (step % 10 != 9) continue;
    const Ema::InPlace averaged(&ema);
    const Context context(queue);
    const Variable loss = softmax_cross_entropy(
        context, model.forward(context, held_out.images).logits, held_out.labels);
    EXPECT_NEAR(loss.value().f32()[0],
                golden["averaged"][static_cast<size_t>(step / 10)].get<double>(), 1e-3);
  }
}

}  // namespace
}  // namespace vitrail
