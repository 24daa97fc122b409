#include "train/judge/linear_probe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "core/error.h"
#include "core/rng.h"
#include "models/families/canonical.h"
#include "models/families/checkpoint.h"
#include "models/vit.h"
#include "train/methods/loss.h"
#include "train/optimizer/lbfgs.h"

namespace vitrail {
namespace {

TEST(Lbfgs, FindsTheMinimumOfRosenbrocksValley) {
  std::vector<double> at = {-1.2, 1};
  const auto valley = [](std::span<const double> x, std::span<double> gradient) {
    const double a = 1 - x[0], b = x[1] - x[0] * x[0];
    gradient[0] = -2 * a - 400 * x[0] * b;
    gradient[1] = 200 * b;
    return a * a + 100 * b * b;
  };
  EXPECT_LT(minimise(valley, at, {.max_iterations = 100, .tolerance = 1e-9}), 1e-12);
  EXPECT_NEAR(at[0], 1, 1e-6);
  EXPECT_NEAR(at[1], 1, 1e-6);
}

// Overlapping clouds around one centre a class, on features of very different scales.
Features clouds(int64_t count, int64_t classes, int64_t width, uint64_t seed) {
  Features features{.values = Tensor::empty({count, width}),
                    .labels = Tensor::empty({count}, DType::i64)};
  Rng rng(seed, 1);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t label = i % classes;
    features.labels.data<int64_t>()[i] = label;
    for (int64_t j = 0; j < width; ++j) {
      const double centre = j % classes == label ? 1.5 : 0;
      features.values.f32()[i * width + j] =
          static_cast<float>((centre + rng.normal()) * std::pow(10.0, j % 3 - 1) + 5);
    }
  }
  return features;
}

TEST(Probe, StopsBetweenTwoLooksAtTheLoss) {
  const Features train = clouds(200, 4, 7, 1);
  Queue queue(1);
  int looks = 0;
  ProbeOptions options;
  options.stop = [&] { return ++looks == 20; };
  try {
    fit_probe(queue, train, train, 4, options);
    FAIL() << "went on";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::cancelled);
  }
  EXPECT_EQ(looks, 20);
}

// The gradient of the penalised loss vanishes at the answer, computed here in double precision.
TEST(Probe, AnswersWhereThePenalisedLossIsLowest) {
  constexpr int64_t kClasses = 4, kWidth = 7, kCount = 200;
  constexpr double kPenalty = 0.05;
  const Features train = clouds(kCount, kClasses, kWidth, 1);
  Queue queue(2);
  const LinearProbe probe =
      fit_probe(queue, train, train, kClasses, {.penalties = {kPenalty}, .tolerance = 1e-6});
  std::vector<double> mean(kWidth), deviation(kWidth);
  for (int64_t j = 0; j < kWidth; ++j) {
    for (int64_t i = 0; i < kCount; ++i) mean[j] += train.values.f32()[i * kWidth + j] / kCount;
    for (int64_t i = 0; i < kCount; ++i)
      deviation[j] += std::pow(train.values.f32()[i * kWidth + j] - mean[j], 2) / kCount;
    deviation[j] = std::sqrt(deviation[j]);
  }
  std::vector<double> gradient(kClasses * (kWidth + 1));
  for (int64_t i = 0; i < kCount; ++i) {
    const float* x = train.values.f32() + i * kWidth;
    std::vector<double> p(kClasses);
    double sum = 0;
    for (int64_t c = 0; c < kClasses; ++c) {
      double logit = probe.bias.f32()[c];
      for (int64_t j = 0; j < kWidth; ++j)
        logit += double(probe.weight.f32()[c * kWidth + j]) * x[j];
      sum += p[c] = std::exp(logit);
    }
    for (int64_t c = 0; c < kClasses; ++c) {
      const double error = p[c] / sum - (train.labels.data<int64_t>()[i] == c);
      for (int64_t j = 0; j < kWidth; ++j)
        gradient[c * (kWidth + 1) + j] += error * (x[j] - mean[j]) / deviation[j] / kCount;
      gradient[c * (kWidth + 1) + kWidth] += error / kCount;
    }
  }
  for (int64_t c = 0; c < kClasses; ++c) {
    for (int64_t j = 0; j < kWidth; ++j) {
      const double scaled = double(probe.weight.f32()[c * kWidth + j]) * deviation[j];
      EXPECT_NEAR(gradient[c * (kWidth + 1) + j] + kPenalty * scaled, 0, 2e-5);
    }
    EXPECT_NEAR(gradient[c * (kWidth + 1) + kWidth], 0, 2e-5);
  }
}

TEST(Probe, ChoosesThePenaltyOnValidationPictures) {
  const Features train = clouds(40, 4, 60, 1), validation = clouds(400, 4, 60, 2);
  Queue queue(2);
  const LinearProbe chosen = fit_probe(queue, train, validation, 4);
  int64_t best = 0;
  for (const double penalty : ProbeOptions().penalties) {
    const LinearProbe one = fit_probe(queue, train, validation, 4, {.penalties = {penalty}});
    best = std::max(best, one.correct);
    EXPECT_EQ(one.correct, count_correct(queue, one, validation));
  }
  EXPECT_GE(chosen.correct + 2, best);
  EXPECT_GT(chosen.correct, 200);
}

Tensor some_images(const VitConfig& c, int64_t count) {
  Tensor images = Tensor::empty({count, c.in_channels, c.image_height, c.image_width});
  Rng rng(3, 3);
  for (float& value : images.values()) value = static_cast<float>(rng.normal());
  return images;
}

// Of one head and of DeiT's two: the model with the probe for its head answers as the probe.
TEST(Probe, BecomesTheModelsHead) {
  for (const bool distilled : {false, true}) {
    SCOPED_TRACE(distilled);
    VitConfig config;
    config.image_height = config.image_width = 16;
    config.patches.patch_height = config.patches.patch_width = 8;
    config.embed_dim = 16;
    config.depth = 1;
    config.block.attention.num_heads = 2;
    config.num_classes = 3;
    if (distilled) {
      config.tokens.distillation_token = true;
      config.position.prefix = 2;
      config.head.pooling = Pooling::distilled;
    }
    VisionTransformer model(config);
    model.parameters().initialise(1);
    const int64_t width = distilled ? 32 : 16;
    LinearProbe probe{.weight = Tensor::empty({3, width}), .bias = Tensor::empty({3})};
    Rng rng(5, 5);
    for (float& value : probe.weight.values()) value = static_cast<float>(rng.normal());
    for (float& value : probe.bias.values()) value = static_cast<float>(rng.normal());
    set_head(model, probe);
    Queue queue(1);
    const NetworkOutput output = model.forward(Context(queue), Variable(some_images(config, 2)));
    const float* tokens = output.tokens().value().f32();
    const int64_t sequence = output.tokens().size(1);
    for (int64_t i = 0; i < 2; ++i)
      for (int64_t c = 0; c < 3; ++c) {
        double expected = probe.bias.f32()[c];
        for (int64_t j = 0; j < width; ++j)
          expected += double(probe.weight.f32()[c * width + j]) * tokens[i * sequence * 16 + j];
        EXPECT_NEAR(output.logits.value().f32()[i * 3 + c], expected, 1e-4);
      }
    probe.weight = Tensor::zeros({3, width + 1});
    EXPECT_THROW(set_head(model, probe), Error);
  }
}

// Features of the bundled model tell the scenes apart; those of random weights much less.
constexpr const char* kScenes = "scenes:count=300,size=64,seed=9,val=100,test=200";
TEST(Probe, ReadsScenesFromLearnedFeatures) {
  const auto accuracy = [](bool learned) {
    const Checkpoint checkpoint =
        open_checkpoint(std::filesystem::path(VITRAIL_SOURCE_DIR) / "models/scenes");
    VisionTransformer model(as_vit(checkpoint.info.config));
    if (learned)
      load_weights(model, *checkpoint.tensors);
    else
      model.parameters().initialise(1);
    const auto train = open_dataset(kScenes, Split::train);
    const auto test = open_dataset(kScenes, Split::test);
    Queue queue(2);
    LoaderOptions options;
    options.preprocess.resize = ResizeMode::none;
    options.preprocess.crop = CropRule::torchvision;
    options.preprocess.crop_to = {64, 64};
    Loader train_pictures(*train, options), test_pictures(*test, options);
    const Features known = features_of(model, queue, train_pictures);
    const Features asked = features_of(model, queue, test_pictures);
    const LinearProbe probe = fit_probe(queue, known, asked, 10);
    return static_cast<double>(probe.correct) / static_cast<double>(asked.pictures());
  };
  EXPECT_GT(accuracy(true), 0.9);
  EXPECT_LT(accuracy(false), 0.7);
}

}  // namespace
}  // namespace vitrail
