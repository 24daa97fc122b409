// The original files of Swin and Swin v2 (microsoft/Swin-Transformer), which stand alone: what no
// shape shows, their buffers do.
#include <algorithm>
#include <cmath>

#include "core/advice.h"
#include "core/error.h"
#include "models/backbones/swin_config.h"
#include "models/families/network_family.h"
#include "models/families/reading/fields.h"
#include "models/families/recognise.h"
#include "models/families/registry.h"
#include "models/families/swin_rules.h"
#include "models/families/timm/timm_network.h"

namespace vitrail {
namespace {

// The side of a square of so many; 0: it is none.
int64_t root_of(int64_t count) {
  const auto side = static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(count))));
  return side * side == count ? side : 0;
}

// The tensors of one file, by name.
class OriginalTensors {
 public:
  OriginalTensors(const FileReading& file)
      : tensors_(file.tensors), prefix_(file.spelling.prefix) {}

  bool has(const std::string& name) const { return tensors_.contains(prefix_ + name); }
  // Error: it is missing, or has fewer axes than `rank`.
  Shape shape(const std::string& name, int rank) const {
    const TensorInfo* info = tensors_.find(prefix_ + name);
    check(info != nullptr && info->shape.rank() >= rank, "family",
          "{}: {}{} is missing, or has not {} axes; an original Swin has it", tensors_.place(),
          prefix_, name, rank);
    return info->shape;
  }
  Tensor values(const std::string& name) const {
    return tensors_.tensor(prefix_ + name).to(DType::f32);
  }
  const std::string& place() const { return tensors_.place(); }

 private:
  const TensorSource& tensors_;
  std::string prefix_;
};

std::string block_path(int64_t stage, int64_t block) {
  return fmt::format("layers.{}.blocks.{}.", stage, block);
}

// The window of a stage: version 1 shows it by its table, version 2 by its buffers.
int64_t window_of(const OriginalTensors& tensors, int64_t stage, int64_t version) {
  const std::string attention = block_path(stage, 0) + "attn.";
  int64_t window = 0;
  if (version == 1)
    window = (root_of(tensors.shape(attention + "relative_position_bias_table", 2)[0]) + 1) / 2;
  else if (tensors.has(attention + "relative_position_index"))
    window = root_of(tensors.shape(attention + "relative_position_index", 2)[0]);
  check(
      window > 0, "family",
      "{}: nothing shows the window of stage {}: the file has no {}relative_position_index, which "
      "the original files have",
      tensors.place(), stage, attention);
  return window;
}

// The window that offsets were measured in, by the coordinate of the last one:
// log2(8 (w - 1) / (p - 1) + 1) / log2(8). 0: the stage's own.
int64_t pretrained_window(const OriginalTensors& tensors, int64_t stage, int64_t window) {
  const std::string name = block_path(stage, 0) + "attn.relative_coords_table";
  if (window == 1 || !tensors.has(name)) return 0;
  const Tensor table = tensors.values(name);
  const double at = std::exp2(3.0 * static_cast<double>(table.f32()[table.numel() - 1])) - 1;
  const auto pretrained =
      static_cast<int64_t>(std::llround(8.0 * static_cast<double>(window - 1) / at)) + 1;
  return pretrained == window ? 0 : pretrained;
}

// Cells a side of the first stage's grid, by the masks of shifted windows; 0: nothing shows them.
int64_t first_grid(const OriginalTensors& tensors, const SwinConfig& c) {
  for (size_t i = 0; i < c.stages(); ++i) {
    const std::string mask = block_path(static_cast<int64_t>(i), 1) + "attn_mask";
    if (!tensors.has(mask)) continue;
    return (root_of(tensors.shape(mask, 3)[0]) * c.window_heights[i]) << i;
  }
  return 0;
}

class SwinOriginalFamily : public NetworkFamily {
 public:
  explicit SwinOriginalFamily(int64_t version) : version_(version) {}
  const char* name() const override { return version_ == 1 ? "swin" : "swin_v2"; }
  const char* models() const override {
    return version_ == 1 ? "original Swin" : "original Swin v2";
  }
  const ConfigForm& config_form() const override { return arguments_form(); }
  std::string_view network() const override { return SwinConfig::kType; }
  std::string_view mark() const override { return swin_mark(version_); }
  const Family* refines() const override { return timm_family(); }
  bool suits(const NetworkConfig& config) const override {
    const auto* swin = config.get_if<SwinConfig>();
    return swin != nullptr && swin->version == version_;
  }
  std::optional<Claim> recognise(const FileEvidence& file) const override {
    auto claim = NetworkFamily::recognise(file);
    if (!claim || !has_original_names(file, claim->prefix)) return std::nullopt;
    return claim;
  }
  NameTables tables(const Spelling&) const override { return {{}, 0, true}; }
  std::string numbered(const Spelling&, std::string_view canonical) const override {
    return merging_at_end(canonical);
  }
  bool is_left_out(std::string_view tensor) const override { return is_swin_buffer(tensor); }

  // Its code has one window for all stages, pads nothing, and leaves the rest to its configuration.
  void check_expressible(const NetworkConfig& network) const override {
    const SwinConfig& c = *network.get_if<SwinConfig>();
    check_swin_version(name(), c, version_);
    check_windows_fit(name(), c, WindowRule::timm);
    for (size_t i = 0; i < c.stages(); ++i) {
      const GridSize window = c.windows(i, c.picture()).window, grid = c.grid(i, c.picture());
      check(window.height == window.width && c.window_heights[i] == c.window_heights.front() &&
                !c.always_partition,
            "convert", "{} models cannot express windows that differ by stage or side", name());
      check(grid.height % window.height == 0 && grid.width % window.width == 0, "convert",
            "{} models cannot express a grid of {}x{} in windows of {}x{}: they pad nothing",
            name(), grid.height, grid.width, window.height, window.width);
    }
    check(c.layer_norm_epsilon == 1e-5 && c.activation == kernels::Activation::gelu, "convert",
          "{} models cannot express another activation than GELU, or another epsilon than 1e-5",
          name());
  }
  std::vector<const Family*> classifier_forms() const override {
    return {version_ == 1 ? timm_swin_family() : timm_swin_v2_family()};
  }

 protected:
  NetworkDraft begin(const FileReading& file) const override {
    if (file.has_config())
      check_fields(file.files.config,
                   {file.files.config_name, "original Swin, whose files stand alone,", {}});
    const OriginalTensors tensors(file);
    SwinConfig c;
    c.architecture = "";
    c.version = version_;
    const Shape patches = tensors.shape("patch_embed.proj.weight", 4);
    c.embed_dim = patches[0];
    c.in_channels = patches[1];
    c.patch_size = patches[2];
    c.depths.clear();
    while (tensors.has(block_path(std::ssize(c.depths), 0) + "norm1.weight")) {
      int64_t depth = 1;
      while (tensors.has(block_path(std::ssize(c.depths), depth) + "norm1.weight")) ++depth;
      c.depths.push_back(depth);
    }
    c.num_heads.clear();
    c.window_heights.clear();
    c.pretrained_windows.clear();
    for (size_t i = 0; i < c.stages(); ++i) {
      const auto stage = static_cast<int64_t>(i);
      const std::string attention = block_path(stage, 0) + "attn.";
      c.num_heads.push_back(version_ == 1
                                ? tensors.shape(attention + "relative_position_bias_table", 2)[1]
                                : tensors.shape(attention + "logit_scale", 1)[0]);
      c.window_heights.push_back(window_of(tensors, stage, version_));
      c.pretrained_windows.push_back(
          version_ == 1 ? 0 : pretrained_window(tensors, stage, c.window_heights.back()));
    }
    c.window_widths = c.window_heights;
    c.mlp_ratio = timm_ratio(tensors.shape(block_path(0, 0) + "mlp.fc1.weight", 2)[0], c.embed_dim);
    c.qkv_bias = tensors.has(block_path(0, 0) + "attn." + (version_ == 1 ? "qkv.bias" : "q_bias"));
    const int64_t cells = first_grid(tensors, c);
    if (cells > 0) c.image_height = c.image_width = cells * c.patch_size;
    NetworkDraft draft(c);
    draft.sources.push_back({"model", "", "names, shapes and buffers"});
    if (cells == 0)
      check_said_size(file);
    else  // what the original code evaluates with: 256 pixels for a crop of 224, no crop at 384
      draft.add_preprocess(
          PreprocessKind::timm,
          c.image_height < 384
              ? timm_preprocess({.side = static_cast<int>(c.image_height), .crop_permille = 875})
              : timm_preprocess({.side = static_cast<int>(c.image_height),
                                 .crop_permille = 1000,
                                 .crop_mode = "squash"}),
          "original Swin's own evaluation");
    return draft;
  }
  void settle(NetworkDraft&, const FileReading&) const override {}

 private:
  static void check_said_size(const FileReading& file) {
    const bool said = std::ranges::any_of(
        file.settings, [](const auto& setting) { return setting.first == "image_height"; });
    check(said, "family",
          "{}: nothing shows how large this model's pictures are: the file has no attn_mask of "
          "shifted windows; say {}",
          file.tensors.place(),
          said_settings({{"image_height", "PIXELS"}, {"image_width", "PIXELS"}}));
  }
  int64_t version_;
};

}  // namespace

const Family* swin_original_family() {
  static const SwinOriginalFamily family(1);
  return &family;
}

const Family* swin_v2_original_family() {
  static const SwinOriginalFamily family(2);
  return &family;
}

}  // namespace vitrail
