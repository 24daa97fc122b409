// The losses of ten steps of masked autoencoding and of DINO against PyTorch's, from the same
// weights, pictures, masks and crops.
#include <gtest/gtest.h>

#include "formats/safetensors.h"
#include "train/methods/dino.h"
#include "train/methods/mae.h"
#include "train/run/learner.h"

namespace vitrail {
namespace {

constexpr int64_t kSteps = 10, kEpochs = 2;

std::shared_ptr<TensorSource> open_golden(const std::string& name) {
  return SafetensorsFile::open(std::filesystem::path(VITRAIL_SOURCE_DIR) / "tests/golden/train" /
                               (name + ".safetensors"));
}

VitConfig tiny_encoder() {
  VitConfig config;
  config.image_height = config.image_width = 16;
  config.patches.patch_height = config.patches.patch_width = 4;
  config.embed_dim = 16;
  config.depth = 2;
  config.block.attention.num_heads = 2;
  config.num_classes = 0;
  return config;
}

// Bytes [...] of one step as normalised floats, without the first axis.
Tensor pictures_of(const Tensor& bytes, int64_t step) {
  const Tensor part = bytes.rows(step, step + 1);
  Shape shape = part.shape();
  std::vector<int64_t> rest(shape.begin() + 1, shape.end());
  Tensor images = Tensor::empty(part.shape()).reshape(std::span<const int64_t>(rest));
  for (int64_t i = 0; i < images.numel(); ++i)
    images.f32()[i] = (static_cast<float>(part.data<uint8_t>()[i]) / 255.0f - 0.5f) / 0.5f;
  return images;
}

void load(ParameterRegistry& parameters, const TensorSource& golden) {
  for (const auto& parameter : parameters.all())
    parameter->set_value(golden.tensor(parameter->path()).clone());
}

LearnerOptions learner_options(double weight_decay, double beta2, double clip_norm) {
  LearnerOptions options;
  options.optimizer.weight_decay = weight_decay;
  options.optimizer.beta2 = beta2;
  options.schedule.learning_rate = options.schedule.min_learning_rate = 2e-3;
  options.clip_norm = clip_norm;
  return options;
}

StepNumbers numbers_of(int64_t step) {
  return {
      .step = step, .total_steps = kSteps, .epoch = step / (kSteps / kEpochs), .epochs = kEpochs};
}

TEST(MaeGolden, LossesOfTenSteps) {
  const auto golden = open_golden("mae");
  const Tensor pictures = golden->tensor("pictures"), hidden = golden->tensor("hidden");
  MaeMethod method(
      {.encoder = tiny_encoder(),
       .decoder_embed_dim = 12,
       .decoder_depth = 1,
       .decoder_num_heads = 2},
      [&](const Batch&, const StepNumbers& numbers) {
        return mask_from_flags(hidden.rows(numbers.step, numbers.step + 1).reshape({-1, 16}));
      });
  load_mae(method.autoencoder(), *golden);
  Learner learner(method, learner_options(0.05, 0.95, 0));
  Queue queue(2);
  for (int64_t step = 0; step < kSteps; ++step) {
    Batch batch;
    batch.images = pictures_of(pictures, step);
    EXPECT_NEAR(learner.step(queue, batch, numbers_of(step)).loss,
                golden->tensor("losses").data<double>()[step], 1e-4)
        << "step " << step;
  }
}

// The tables are computed, not only loaded.
TEST(MaeGolden, PositionsAreTheAuthors) {
  const auto golden = open_golden("mae");
  MaeMethod method({.encoder = tiny_encoder(),
                    .decoder_embed_dim = 12,
                    .decoder_depth = 1,
                    .decoder_num_heads = 2});
  method.parameters().initialise(3);
  for (const char* name : {"pos_embed", "decoder_pos_embed"}) {
    const Parameter& table = method.parameters().at(name);
    const Tensor expected = golden->tensor(name);
    EXPECT_FALSE(table.trainable());
    for (int64_t i = 0; i < expected.numel(); ++i)
      ASSERT_NEAR(table.value().f32()[i], expected.f32()[i], 1e-6) << name << " " << i;
  }
}

TEST(DinoGolden, LossesOfTenSteps) {
  const auto golden = open_golden("dino");
  const Tensor global = golden->tensor("global"), local = golden->tensor("local");
  VitConfig config = tiny_encoder();
  config.position.resize = PositionResize::bicubic_offset;
  DinoMethod method(config, {.hidden = 20,
                             .bottleneck = 8,
                             .outputs = 24,
                             .teacher_temperature = 0.07,
                             .warmup_teacher_temperature = 0.04,
                             .warmup_teacher_epochs = kEpochs,
                             .teacher_momentum = 0.9});
  load(method.parameters(), *golden);
  method.begin();
  LearnerOptions options = learner_options(0.04, 0.999, 1);
  options.weight_decay = Schedule{
      .learning_rate = 0.04, .min_learning_rate = 0.4, .warmup_steps = 0, .total_steps = kSteps};
  Learner learner(method, options);
  Queue queue(2);
  for (int64_t step = 0; step < kSteps; ++step) {
    Batch batch;
    for (const Tensor* kind : {&global, &local}) {
      const Tensor both = pictures_of(*kind, step);
      for (int64_t view = 0; view < 2; ++view)
        batch.views.push_back(
            both.rows(view, view + 1).reshape({both.size(1), 3, both.size(3), both.size(4)}));
    }
    batch.images = batch.views[0];
    EXPECT_NEAR(learner.step(queue, batch, numbers_of(step)).loss,
                golden->tensor("losses").data<double>()[step], 1e-4)
        << "step " << step;
  }
}

}  // namespace
}  // namespace vitrail
