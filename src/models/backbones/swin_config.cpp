#include "models/backbones/swin_config.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "core/error.h"

namespace vitrail {
namespace {

constexpr auto kSwinFields = [](auto& c, auto visit) {
  kPictureNetworkFields(c, visit);
  visit("patch_size", c.patch_size);
  visit("version", c.version);
  visit("embed_dim", c.embed_dim);
  visit("depths", c.depths);
  visit("num_heads", c.num_heads);
  visit("window_heights", c.window_heights);
  visit("window_widths", c.window_widths);
  visit("pretrained_windows", c.pretrained_windows);
  visit("window_rule", c.window_rule);
  visit("window_image_height", c.window_image_height);
  visit("window_image_width", c.window_image_width);
  visit("always_partition", c.always_partition);
  visit("mlp_ratio", c.mlp_ratio);
  visit("qkv_bias", c.qkv_bias);
  visit("activation", c.activation);
  visit("layer_norm_epsilon", c.layer_norm_epsilon);
  visit("dropout", c.dropout);
  visit("attention_dropout", c.attention_dropout);
};

// What a window becomes on an axis of so many cells, and its shift.
struct FittedAxis {
  int64_t window, shift;
};
FittedAxis fitted(int64_t window, int64_t cells) {
  return {std::min(window, cells), cells <= window ? 0 : window / 2};
}

int64_t whole_patches(const SwinConfig& c, int64_t pixels) {
  return c.window_rule == WindowRule::transformers ? (pixels + c.patch_size - 1) / c.patch_size
                                                   : pixels / c.patch_size;
}

StageWindows timm_windows(const SwinConfig& c, size_t stage, const GridSize& picture) {
  GridSize window{c.window_heights[stage], c.window_widths[stage]};
  const GridSize made = c.grid(0, c.window_picture()), now = c.grid(0, picture);
  GridSize cells = c.grid(stage, c.window_picture());
  if (c.window_rule == WindowRule::timm) {
    window.height = std::max<int64_t>(window.height * now.height / made.height, 1);
    window.width = std::max<int64_t>(window.width * now.width / made.width, 1);
    cells = c.grid(stage, picture);
  }
  if (c.always_partition) return {window, {window.height / 2, window.width / 2}};
  const FittedAxis y = fitted(window.height, cells.height), x = fitted(window.width, cells.width);
  return {{y.window, x.window}, {y.shift, x.shift}};
}

StageWindows square(int64_t window, int64_t shift) {
  return {{window, window}, {shift, shift}};
}

StageWindows transformers_windows(const SwinConfig& c, size_t stage, const GridSize& picture) {
  const int64_t window = c.window_heights[stage];
  if (c.version == 2) {
    // Once, by the height of the picture that the model is made for, in whole patches and halves.
    const int64_t cells = (c.window_picture().height / c.patch_size) >> stage;
    check(cells > 0, kConfigPlace, "a picture of {}x{} leaves stage {} without a grid",
          c.window_picture().height, c.window_picture().width, stage);
    return square(fitted(window, cells).window, fitted(window, cells).shift);
  }
  const GridSize cells = c.grid(stage, picture);
  const int64_t smaller = std::min(cells.height, cells.width);
  check(smaller >= window, kConfigPlace,
        "a picture of {}x{} gives stage {} a grid of {}x{}, smaller than its window of {}, whose "
        "table of positions transformers cannot shrink; larger pictures fit",
        picture.height, picture.width, stage, cells.height, cells.width, window);
  return square(window, smaller == window ? 0 : window / 2);
}

}  // namespace

GridSize SwinConfig::grid(size_t stage, const GridSize& of) const {
  GridSize cells{whole_patches(*this, of.height), whole_patches(*this, of.width)};
  for (size_t i = 0; i < stage; ++i) cells = {(cells.height + 1) / 2, (cells.width + 1) / 2};
  return cells;
}

GridSize SwinConfig::window_picture() const {
  return window_image_height > 0 ? GridSize{window_image_height, window_image_width} : picture();
}

StageWindows SwinConfig::windows(size_t stage, const GridSize& of) const {
  const GridSize cells = grid(0, of);
  check(cells.height > 0 && cells.width > 0, kConfigPlace,
        "a picture of {}x{} holds no patch of {} pixels", of.height, of.width, patch_size);
  return window_rule == WindowRule::transformers ? transformers_windows(*this, stage, of)
                                                 : timm_windows(*this, stage, of);
}

int64_t SwinConfig::num_blocks() const {
  return std::accumulate(depths.begin(), depths.end(), int64_t{0});
}

void SwinConfig::set_pictures(const PictureInput& input) {
  PictureNetworkConfig::set_pictures(input);
  window_image_height = window_image_width = 0;
}

void SwinConfig::set_image_size(int64_t height, int64_t width) {
  SwinConfig sized = *this;
  sized.window_image_height = window_picture().height;
  sized.window_image_width = window_picture().width;
  sized.image_height = height;
  sized.image_width = width;
  if (sized.window_picture() == sized.picture())
    sized.window_image_height = sized.window_image_width = 0;
  sized.validate();
  *this = sized;
}

void SwinConfig::validate() const {
  constexpr int64_t kMaxSide = 16384, kMaxWindow = 1024, kMaxDepth = 1024;
  check_common();
  check_field("patch_size", patch_size, 1, 1024);
  check_field("version", version, 1, 2);
  check_field("embed_dim", embed_dim, 1, 65536);
  check_field("window_image_height", window_image_height, 0, kMaxSide);
  check_field("window_image_width", window_image_width, 0, kMaxSide);
  check((window_image_height > 0) == (window_image_width > 0), kConfigPlace,
        "window_image_height is {} and window_image_width {}; both name a size, or neither",
        window_image_height, window_image_width);
  check_stages("depths", stages(),
               {{"depths", depths, 0, kMaxDepth},
                {"num_heads", num_heads},
                {"window_heights", window_heights, 1, kMaxWindow},
                {"window_widths", window_widths, 1, kMaxWindow},
                {"pretrained_windows", pretrained_windows, 0, kMaxWindow}});
  check(mlp_ratio > 0 && mlp_ratio <= 64, kConfigPlace, "mlp_ratio is {}; it must lie in (0, 64]",
        mlp_ratio);
  check(!always_partition || window_rule != WindowRule::transformers, kConfigPlace,
        "always_partition is timm's; transformers' models have no such option");
  for (size_t i = 0; i < stages(); ++i) {
    check(version == 2 || pretrained_windows[i] == 0, kConfigPlace,
          "pretrained_windows are of version 2; version 1 has a table");
    check(width(i) % num_heads[i] == 0, kConfigPlace,
          "num_heads {} of stage {} does not divide its width, {}", num_heads[i], i, width(i));
    check(window_rule != WindowRule::transformers || window_heights[i] == window_widths[i],
          kConfigPlace, "windows of {}x{}: those of transformers' models are square",
          window_heights[i], window_widths[i]);
    (void)windows(i, window_picture());
    (void)windows(i, picture());
  }
  check_epsilon("layer_norm_epsilon", layer_norm_epsilon);
  check_rate("dropout", dropout);
  check_rate("attention_dropout", attention_dropout);
}

void write_fields(const SwinConfig& config, nlohmann::json& out) {
  out.update(fields_to_json(config, kSwinFields));
}

SwinConfig swin_config_from_json(const nlohmann::json& in) {
  return config_from_fields<SwinConfig>(kSwinFields, in);
}

void set_field(SwinConfig& config, const std::string& name, const std::string& value) {
  set_config_field(config, kSwinFields, name, value);
}

}  // namespace vitrail
