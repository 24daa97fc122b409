// The configuration of a Swin Transformer, version 1 or 2 (Liu et al. 2021 and 2022), and of S3,
// whose windows differ by stage (Chen et al. 2021, "Searching the Search Space of Vision
// Transformer").
#pragma once

#include <array>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/picture_network_config.h"

namespace vitrail {

// By which library's rules windows follow the picture. In all of them a window that is not smaller
// than the stage's grid becomes as large as the grid, and is not shifted.
enum class WindowRule : uint8_t {
  // A window keeps its share of the grid: that of a picture twice as large is twice as large, and
  // version 1 stretches its tables. The grid is rolled, then padded.
  timm,
  timm_dynamic,  // windows stay as they are, whatever the picture (timm's dynamic_img_size)
  // Windows stay as they are; pictures are padded to whole patches, grids to whole windows, and
  // then rolled. A table of version 1 cannot shrink: a grid smaller than its window is refused.
  transformers
};
inline constexpr std::array kWindowRules{Word{WindowRule::timm, "timm"},
                                         Word{WindowRule::timm_dynamic, "timm_dynamic"},
                                         Word{WindowRule::transformers, "transformers"}};
constexpr auto words_of(WindowRule) {
  return std::span(kWindowRules);
}

// Rows and columns of tokens, or pixels.
struct GridSize {
  int64_t height = 0, width = 0;
  bool operator==(const GridSize&) const = default;
};

// The windows of a stage, and by how much every second block shifts them.
struct StageWindows {
  GridSize window, shift;
};

struct SwinConfig : PictureNetworkConfig {
  static constexpr std::string_view kType = "swin";

  int64_t patch_size = 4;
  // 2: norms behind attention and MLP, cosine attention, positions by a perceptron.
  int64_t version = 1;
  int64_t embed_dim = 96;  // of the first stage; each one after it has twice as many
  std::vector<int64_t> depths{2, 2, 6, 2};
  std::vector<int64_t> num_heads{3, 6, 12, 24};
  std::vector<int64_t> window_heights{7, 7, 7, 7}, window_widths{7, 7, 7, 7};
  std::vector<int64_t> pretrained_windows{0, 0, 0, 0};  // of version 2; 0: none
  WindowRule window_rule = WindowRule::timm;
  // The picture that the windows were chosen for; 0: the model's own.
  int64_t window_image_height = 0, window_image_width = 0;
  bool always_partition = false;  // windows larger than the grid stay, and are padded
  double mlp_ratio = 4;
  bool qkv_bias = true;  // of version 2: of q and v alone
  kernels::Activation activation = kernels::Activation::gelu;
  double layer_norm_epsilon = 1e-5;  // of the blocks and behind the last one
  double dropout = 0, attention_dropout = 0;

  size_t stages() const { return depths.size(); }
  int64_t width(size_t stage) const { return embed_dim << stage; }
  // Of a picture of so many pixels.
  GridSize grid(size_t stage, const GridSize& picture) const;
  GridSize picture() const { return {image_height, image_width}; }
  // The picture that the windows were chosen for.
  GridSize window_picture() const;
  // For a picture of this size. Error: the windows do not fit it.
  StageWindows windows(size_t stage, const GridSize& picture) const;
  // The window that the stage's tables of version 1 were made for.
  GridSize table_window(size_t stage) const { return windows(stage, window_picture()).window; }

  int64_t num_blocks() const;
  void set_pictures(const PictureInput& input);
  void set_image_size(int64_t height, int64_t width);
  void validate() const;

  bool operator==(const SwinConfig&) const = default;
};

void write_fields(const SwinConfig& config, nlohmann::json& out);
SwinConfig swin_config_from_json(const nlohmann::json& in);
void set_field(SwinConfig& config, const std::string& name, const std::string& value);
std::shared_ptr<Network> make_network(const SwinConfig& config);

}  // namespace vitrail
