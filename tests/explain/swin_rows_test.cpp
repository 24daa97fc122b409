// Rows of Swin's shifted windows on the grid of their stage, those at a border included, against
// the weights that timm's own attention gives by window.
#include <gtest/gtest.h>

#include "explain/layer_attention.h"
#include "models/backbones/swin_config.h"
#include "models/golden_case.h"
#include "models/golden_model.h"

namespace vitrail {
namespace {

// Where timm puts a cell of one axis: rolled, then padded and cut.
struct Placed {
  int64_t window, place;
};
Placed placed(int64_t cell, int64_t cells, int64_t window, int64_t shift) {
  const int64_t at = (cell - shift + cells) % cells;
  return {at / window, at % window};
}

class SwinRows : public ::testing::TestWithParam<const char*> {};

TEST_P(SwinRows, EqualTheLibrarysOnTheStagesGrid) {
  const testing::GoldenCase golden = testing::open_golden(GetParam());
  const testing::GoldenModel model = testing::load_golden_model(golden);
  const SwinConfig& config = *model.checkpoint.info.config.get_if<SwinConfig>();
  AttentionProbe probe({.keep = true});
  Queue queue(1);
  Context context(queue);
  context.probe = &probe;
  const Tensor input = golden.at("input");
  const NetworkOutput output = model.network->forward(context, input);
  const std::vector<AttentionLayer> layers = model.network->backbone().attentions();
  bool shifted = false;
  for (size_t index = 0; index < layers.size(); ++index) {
    const AttentionLayer& layer = layers[index];
    const AttentionGrids grids =
        model.network->backbone().attention_grids(layer, input.size(2), input.size(3));
    const LayerAttention rows =
        layer_attention(queue, probe.record(layer.path), layer.stage, grids.queries, grids.keys);
    const Tensor theirs = golden.at("attention." + std::to_string(index));  // [B*windows, H, n, n]
    const StageWindows windows =
        config.windows(static_cast<size_t>(layer.stage), {input.size(2), input.size(3)});
    const bool odd = layer.path.ends_with("1.attn");
    const GridSize shift = odd ? windows.shift : GridSize{0, 0};
    shifted = shifted || shift.height > 0;
    const int64_t height = grids.keys.grid_height, width = grids.keys.grid_width;
    const int64_t across = (width + windows.window.width - 1) / windows.window.width;
    const int64_t n = windows.window.height * windows.window.width;
    const auto place = [&](int64_t token) -> std::pair<int64_t, int64_t> {
      const Placed y = placed(token / width, height, windows.window.height, shift.height);
      const Placed x = placed(token % width, width, windows.window.width, shift.width);
      return {y.window * across + x.window, y.place * windows.window.width + x.place};
    };
    ASSERT_EQ(theirs.numel() / theirs.size(0), layer.heads * n * n);
    for (int64_t head = 0; head < layer.heads; ++head)
      for (int64_t token = 0; token < height * width; ++token) {
        const std::vector<float> row = attention_row(queue, rows, head, token);
        const auto [window, query] = place(token);
        for (int64_t key = 0; key < height * width; ++key) {
          const auto [other, at] = place(key);
          const float expected =
              other == window ? theirs.f32()[((window * layer.heads + head) * n + query) * n + at]
                              : 0.0f;
          ASSERT_NEAR(row[static_cast<size_t>(key)], expected, 1e-5)
              << layer.path << " head " << head << " token " << token << " key " << key;
        }
      }
  }
  EXPECT_TRUE(shifted);
}
INSTANTIATE_TEST_SUITE_P(Explain, SwinRows,
                         ::testing::Values("swin/shifted", "swin/padded", "swin/v2_padded",
                                           "swin/windows_by_stage"),
                         [](const auto& parameter) {
                           return std::string(parameter.param).substr(5);
                         });

}  // namespace
}  // namespace vitrail
