// The ResNet baseline trains as every other model does.
#include <gtest/gtest.h>

#include "models/architectures.h"
#include "models/vit.h"
#include "train/methods/supervised.h"
#include "train/run/learner.h"
#include "train/run/presets.h"
#include "train/run_helpers.h"

namespace vitrail {
namespace {

namespace fs = std::filesystem;
using testing::bytes_of;
using testing::fresh_folder;
using testing::quiet_options;

TrainConfig resnet_config() {
  TrainConfig config = testing::tiny_config();
  config.model = architecture_config("resnet20");
  as_vit(config.model).image_height = as_vit(config.model).image_width = 16;
  as_vit(config.model).resnet.blocks = {1, 1};
  as_vit(config.model).resnet.channels = {8, 16};
  as_vit(config.model).resnet.stem_channels = 8;
  as_vit(config.model).embed_dim = 16;
  apply_settings(config, preset_by_name("resnet20"));
  config.learning_rate = 0.1;
  config.batch_size = 16;
  config.epochs = 3;
  return config;
}

TEST(ResNetTraining, LearnsScenes) {
  for (const char* precision : {"f32", "bf16"}) {
    TrainConfig config = resnet_config();
    config.data = "scenes:size=16,count=640,val=160,test=16";
    config.epochs = 8;
    config.precision = precision;
    const TrainResult result = train(config, quiet_options(fresh_folder(precision)));
    ASSERT_TRUE(result.validation);
    // One in ten by chance, with a deviation of 0.024: four of them above it.
    EXPECT_GT(result.validation->accuracy, 0.2) << precision;
  }
}

TEST(ResNetTraining, ResumesBitForBit) {
  const TrainConfig config = resnet_config();
  const fs::path whole = fresh_folder("whole"), broken = fresh_folder("broken");
  train(config, quiet_options(whole));
  RunOptions options = quiet_options(broken);
  int64_t step = 0;
  options.threads = 2;
  options.on_step = [&](const TrainProgress& progress) { step = progress.step; };
  options.stop = [&] { return step == 7; };
  EXPECT_TRUE(train(config, options).interrupted);
  options.stop = nullptr;
  options.resume = true;
  train(config, options);
  EXPECT_EQ(bytes_of(whole / "model.safetensors"), bytes_of(broken / "model.safetensors"));
}

Tensor random_pictures(int64_t count) {
  Tensor images = Tensor::empty({count, 3, 16, 16});
  for (int64_t i = 0; i < images.numel(); ++i)
    images.f32()[i] = static_cast<float>(i * 37 % 101) / 50.0f - 1.0f;
  return images;
}

// The weights after two steps.
std::vector<float> weights_after(const TrainConfig& config, bool checkpointing, int threads) {
  VisionTransformer model(as_vit(config.model));
  model.parameters().initialise(7);
  SupervisedMethod method(model, {});
  Learner learner(method, {.schedule = {.learning_rate = 0.01, .total_steps = 2},
                           .activation_checkpointing = checkpointing});
  Queue queue(threads);
  for (int64_t step = 0; step < 2; ++step) {
    Batch batch;
    batch.images = random_pictures(6);
    batch.labels = Tensor::zeros({6}, DType::i64);
    for (int64_t i = 0; i < 6; ++i) batch.labels.data<int64_t>()[i] = i % 3;
    learner.step(queue, batch, {.step = step});
  }
  std::vector<float> weights;
  for (const auto& parameter : model.parameters().all()) {
    const auto values = parameter->value().values();
    weights.insert(weights.end(), values.begin(), values.end());
  }
  return weights;
}

TEST(ResNetTraining, CheckpointingAndThreadsChangeNoBit) {
  for (const Normalisation norm : {Normalisation::batch, Normalisation::group}) {
    TrainConfig config = resnet_config();
    as_vit(config.model).resnet.norm = norm;
    as_vit(config.model).resnet.norm_groups = 4;
    const std::vector<float> plain = weights_after(config, false, 1);
    EXPECT_EQ(weights_after(config, true, 2), plain);
    EXPECT_EQ(weights_after(config, false, 3), plain);
  }
}

}  // namespace
}  // namespace vitrail
