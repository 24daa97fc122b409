// Swin beside its goldens: pictures of another size than trained for, and configurations that
// contradict themselves.
#include <gtest/gtest.h>

#include "core/error.h"
#include "formats/safetensors.h"
#include "models/backbones/swin_config.h"
#include "models/families/canonical.h"
#include "models/families/checkpoint.h"
#include "models/golden_case.h"
#include "models/network.h"

namespace vitrail {
namespace {

// timm's set_input_size(): windows keep their share of the grid, and tables are stretched.
TEST(Swin, FollowsAnotherPictureAsTimmDoes) {
  const auto folder = testing::golden_root() / "swin/resized";
  const auto golden = SafetensorsFile::open(folder / "resized.safetensors");
  Queue queue(1);
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{48, 64}, {24, 32}}) {
    Checkpoint checkpoint = open_checkpoint(folder, {.require_preprocess = false});
    checkpoint.info.config.set_image_size(height, width);
    const auto network = checkpoint.info.config.make();
    load_weights(*network, *checkpoint.tensors);
    const std::string size = std::to_string(height) + "x" + std::to_string(width);
    const Tensor input = golden->tensor("input." + size);
    const Tensor expected = golden->tensor("logits." + size);
    EXPECT_LE(
        testing::relative_error(network->forward(Context(queue), input).logits.value(), expected),
        1e-5)
        << size;
    // The same where the tables are stretched under a tape.
    Tape tape;
    Context context(queue);
    context.tape = &tape;
    EXPECT_LE(testing::relative_error(network->forward(context, input).logits.value(), expected),
              1e-5)
        << size;
  }
}

TEST(Swin, TakesThePictureThatItsWindowsWereChosenFor) {
  SwinConfig config;
  config.image_height = config.image_width = 64;
  const auto network = NetworkConfig(config).make();
  EXPECT_EQ(network->layout(64, 64).grid_height, 2);
  EXPECT_THROW(network->layout(96, 96), Error);
  config.window_rule = WindowRule::timm_dynamic;
  EXPECT_EQ(NetworkConfig(config).make()->layout(96, 96).grid_height, 3);
}

void expect_refused(const SwinConfig& config, const std::string& part) {
  try {
    config.validate();
    ADD_FAILURE() << "not refused: " << part;
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }
}

TEST(SwinConfig, RefusesWhatContradictsItself) {
  const SwinConfig usual;
  SwinConfig config;
  config.num_heads = {3, 6, 12};
  expect_refused(config, "num_heads");
  config = usual;
  config.num_heads = {5, 6, 12, 24};
  expect_refused(config, "num_heads 5 of stage 0 does not divide its width, 96");
  config = usual;
  config.window_rule = WindowRule::transformers;
  config.image_height = config.image_width = 64;
  expect_refused(config, "smaller than its window of 7");
  config = usual;
  config.pretrained_windows = {12, 12, 12, 6};
  expect_refused(config, "pretrained_windows are of version 2");
  config = usual;
  config.image_height = 3;
  expect_refused(config, "holds no patch of 4 pixels");
  config = usual;
  config.window_image_height = 64;
  expect_refused(config, "window_image_width");
}

TEST(SwinConfig, ShrinksWindowsToTheGrid) {
  SwinConfig config;  // 56, 28, 14, 7
  EXPECT_EQ(config.windows(0, config.picture()).shift.height, 3);
  EXPECT_EQ(config.windows(3, config.picture()).shift.height, 0);
  config.image_height = 160;  // 40x56 to 5x7
  EXPECT_EQ(config.windows(3, config.picture()).window, (GridSize{5, 7}));
  config.always_partition = true;
  EXPECT_EQ(config.windows(3, config.picture()).window, (GridSize{7, 7}));
}

}  // namespace
}  // namespace vitrail
