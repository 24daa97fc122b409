// The losses of twenty steps against PyTorch's, from the same weights and batches.
#include <gtest/gtest.h>

#include "formats/json.h"
#include "formats/safetensors.h"
#include "models/vit.h"
#include "support/compare.h"
#include "train/methods/supervised.h"
#include "train/run/config.h"
#include "train/run/learner.h"
#include "train/run/run_setup.h"

namespace vitrail {
namespace {

const std::filesystem::path kGolden =
    std::filesystem::path(VITRAIL_SOURCE_DIR) / "tests/golden/train";

// As every training batch is made: through the preprocessing.
Tensor prepare(const TrainConfig& config, const Tensor& pictures) {
  const Preprocess preprocess = config.preprocess();
  const int64_t height = pictures.size(1), width = pictures.size(2);
  Tensor images = Tensor::empty({pictures.size(0), 1, height, width});
  for (int64_t i = 0; i < pictures.size(0); ++i) {
    Image image(static_cast<int>(width), static_cast<int>(height), 1);
    const uint8_t* pixels = pictures.data<uint8_t>() + i * height * width;
    image.pixels.assign(pixels, pixels + height * width);
    apply(image, preprocess, images.f32() + i * height * width);
  }
  return images;
}

class TrainingGolden : public ::testing::TestWithParam<const char*> {};

// How far the losses of twenty steps are from PyTorch's in f32.
void follow(const std::string& name, Precision precision, double tolerance) {
  const auto batches = SafetensorsFile::open(kGolden / "batches.safetensors");
  const auto golden = SafetensorsFile::open(kGolden / (name + ".safetensors"));
  const TrainConfig config = train_config_from_json(read_json(kGolden / (name + ".json")));
  const Tensor pictures = batches->tensor("pictures"), labels = batches->tensor("labels");
  const int64_t steps = pictures.size(0);
  ASSERT_EQ(steps, 20);

  VisionTransformer model(as_vit(config.model));
  for (const auto& parameter : model.parameters().all())
    parameter->set_value(golden->tensor(parameter->path()).clone());
  SupervisedMethod method(model, {.label_smoothing = config.label_smoothing});
  LearnerOptions options = learner_options(config, steps / config.epochs);
  options.precision = precision;
  options.spike_threshold = 0;
  Learner learner(method, options);
  Queue queue(2);
  const Tensor losses = golden->tensor("losses");
  const double* expected = losses.data<double>();
  for (int64_t step = 0; step < steps; ++step) {
    Batch batch;
    batch.images = prepare(config, pictures.rows(step, step + 1).reshape({-1, 28, 28}));
    batch.labels = labels.rows(step, step + 1).reshape({-1});
    const StepResult result = learner.step(queue, batch, {.step = step});
    EXPECT_NEAR(result.loss, expected[step], tolerance) << "step " << step;
  }
  for (const auto& parameter : model.parameters().all()) {
    if (parameter->kind() != Parameter::Kind::buffer) continue;
    const Tensor after = golden->tensor("after." + parameter->path());
    EXPECT_LT(testing::max_relative_error(parameter->value().values(), after.values()),
              10 * tolerance)
        << parameter->path();
  }
}

TEST_P(TrainingGolden, LossesOfTwentySteps) {
  follow(GetParam(), Precision::f32, 1e-4);
}

// Operands have 8 bits, so a loss of order one moves in its third digit.
TEST_P(TrainingGolden, Bf16FollowsF32) {
  follow(GetParam(), Precision::bf16, 2e-2);
}

INSTANTIATE_TEST_SUITE_P(Cases, TrainingGolden,
                         ::testing::Values("cct", "resnet", "resnet_batch_norm", "vit"));

}  // namespace
}  // namespace vitrail
