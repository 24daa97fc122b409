#include "models/families/swin_rules.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "core/error.h"
#include "models/families/recognise.h"

namespace vitrail {
namespace {

bool divides(const GridSize& window, const GridSize& grid) {
  return grid.height % window.height == 0 && grid.width % window.width == 0;
}

}  // namespace

std::string_view swin_mark(int64_t version) {
  return version == 1 ? "layers.0.blocks.0.attn.relative_position_bias_table"
                      : "layers.0.blocks.0.attn.cpb_mlp.0.weight";
}

bool has_original_names(const FileEvidence& file, const std::string& prefix) {
  const TensorSource& tensors = file.tensors();
  return tensors.contains(prefix + "layers.0.downsample.reduction.weight") ||
         tensors.contains(prefix + "head.weight");
}

bool is_swin_buffer(std::string_view tensor) {
  constexpr std::array<std::string_view, 3> kBuffers = {"attn_mask", "relative_position_index",
                                                        "relative_coords_table"};
  return std::ranges::any_of(kBuffers, [&](std::string_view buffer) {
    return tensor.ends_with(buffer) && tensor.starts_with("layers.");
  });
}

std::string merging_at_end(std::string_view canonical) {
  constexpr std::string_view kStage = "layers.", kMerging = ".downsample.";
  const size_t dot = canonical.find('.', kStage.size());
  if (!canonical.starts_with(kStage) || dot == std::string_view::npos ||
      !canonical.substr(dot).starts_with(kMerging))
    return std::string(canonical);
  int64_t stage = 0;
  std::from_chars(canonical.data() + kStage.size(), canonical.data() + dot, stage);
  return fmt::format("{}{}{}", kStage, stage - 1, canonical.substr(dot));
}

void check_swin_version(const char* family, const SwinConfig& config, int64_t version) {
  check(config.version == version, "convert", "{} models are of version {}, and this Swin is of {}",
        family, version, config.version);
}

void check_windows_fit(const char* family, const SwinConfig& config, WindowRule rule) {
  const bool of_timm = config.window_rule != WindowRule::transformers;
  if (of_timm) {
    check(config.window_image_height == 0, "convert",
          "{} models cannot express windows that were chosen for pictures of {}x{} in a model of "
          "{}x{}",
          family, config.window_image_height, config.window_image_width, config.image_height,
          config.image_width);
    if (rule == WindowRule::timm) return;
  } else if (rule == WindowRule::transformers) {
    return;
  }
  SwinConfig theirs = config;
  theirs.window_rule = rule;
  theirs.always_partition = false;
  theirs.window_image_height = theirs.window_image_width = 0;
  try {
    theirs.validate();
  } catch (const Error& error) {
    fail("convert", "{} models cannot express these windows: {}", family, error.what());
  }
  const GridSize picture = config.picture();
  check(picture.height % config.patch_size == 0 && picture.width % config.patch_size == 0,
        "convert",
        "{} models treat pictures of {}x{} otherwise: they are no whole number of patches", family,
        picture.height, picture.width);
  for (size_t i = 0; i < config.stages(); ++i) {
    const StageWindows own = config.windows(i, picture), other = theirs.windows(i, picture);
    check(own.window == other.window && own.shift == other.shift, "convert",
          "{} models would choose other windows for stage {}", family, i);
    const bool shifted = own.shift.height > 0 || own.shift.width > 0;
    check(divides(own.window, config.grid(i, picture)) || !shifted, "convert",
          "{} models pad the grid of stage {} in another order", family, i);
    check(config.version == 1 || !shifted, "convert",
          "{} models cannot express shifted windows of version 2 with equal answers: what keeps "
          "their parts apart is -100 in timm and -200 in transformers",
          family);
  }
}

}  // namespace vitrail
