// The image encoder in original SAM's files (facebookresearch/segment-anything), whose prompt
// encoder and mask decoder are left out. Shapes say the whole encoder.
#include <algorithm>
#include <array>

#include "core/error.h"
#include "models/backbones/vitdet_config.h"
#include "models/families/network_family.h"
#include "models/families/reading/fields.h"
#include "models/families/recognise.h"
#include "models/families/registry.h"

namespace vitrail {
namespace {

constexpr NameRow kSamRows[] = {
    {"patch_embed.proj", {"@image_encoder.patch_embed.proj"}},
    {"pos_embed", {"@image_encoder.pos_embed"}},
    {"blocks.#.norm1", {"@image_encoder.blocks.#.norm1"}},
    {"blocks.#.attn.qkv", {"@image_encoder.blocks.#.attn.qkv"}},
    {"blocks.#.attn.proj", {"@image_encoder.blocks.#.attn.proj"}},
    {"blocks.#.attn.rel_pos_h", {"@image_encoder.blocks.#.attn.rel_pos_h"}},
    {"blocks.#.attn.rel_pos_w", {"@image_encoder.blocks.#.attn.rel_pos_w"}},
    {"blocks.#.norm2", {"@image_encoder.blocks.#.norm2"}},
    {"blocks.#.mlp.fc1", {"@image_encoder.blocks.#.mlp.lin1"}},
    {"blocks.#.mlp.fc2", {"@image_encoder.blocks.#.mlp.lin2"}},
    {"neck.conv1", {"@image_encoder.neck.0"}},
    {"neck.norm1", {"@image_encoder.neck.1"}},
    {"neck.conv2", {"@image_encoder.neck.2"}},
    {"neck.norm2", {"@image_encoder.neck.3"}},
};

// Tokens along the side that a table of relative positions is for.
int64_t side_of_table(const FileReading& file, int64_t block, const char* name) {
  const std::string whole =
      fmt::format("{}image_encoder.blocks.{}.attn.{}", file.spelling.prefix, block, name);
  const Shape& shape = file.tensors.info(whole).shape;
  check(shape.rank() == 2 && shape[0] % 2 == 1, "sam",
        "{}: '{}' of {} is no table of relative positions", file.tensors.place(), whole,
        shape.str());
  return (shape[0] + 1) / 2;
}

VitDetConfig encoder_of_shapes(const FileReading& file) {
  const auto shape = [&](const std::string& name) -> const Shape& {
    return file.tensors.info(file.spelling.prefix + "image_encoder." + name).shape;
  };
  const std::string& place = file.tensors.place();
  VitDetConfig c;
  const Shape patch = shape("patch_embed.proj.weight"), positions = shape("pos_embed");
  const Shape neck = shape("neck.0.weight"), hidden = shape("blocks.0.mlp.lin1.weight");
  check(patch.rank() == 4 && positions.rank() == 4 && hidden.rank() == 2 && neck.rank() == 4, "sam",
        "{}: patch embedding, positions and neck of an image encoder have four axes", place);
  c.embed_dim = patch[0];
  c.in_channels = patch[1];
  c.patch_height = patch[2];
  c.patch_width = patch[3];
  c.image_height = positions[1] * patch[2];
  c.image_width = positions[2] * patch[3];
  c.mlp_hidden_dim = hidden[0];
  c.neck_channels = neck[0];
  c.num_classes = 0;
  c.fixed_positions = true;
  c.depth = 0;
  while (file.tensors.contains(
      fmt::format("{}image_encoder.blocks.{}.attn.qkv.weight", file.spelling.prefix, c.depth)))
    ++c.depth;
  c.qkv_bias = file.tensors.contains(file.spelling.prefix + "image_encoder.blocks.0.attn.qkv.bias");
  const Shape table = shape("blocks.0.attn.rel_pos_h");
  check(table.rank() == 2 && table[1] > 0 && c.embed_dim % table[1] == 0, "sam",
        "{}: tables of relative positions of {} do not divide tokens of {} into heads", place,
        table.str(), c.embed_dim);
  c.num_heads = c.embed_dim / table[1];
  // Tables of the whole grid are those of global attention, and the others those of windows.
  c.window_size = 0;
  for (int64_t i = 0; i < c.depth; ++i) {
    const int64_t height = side_of_table(file, i, "rel_pos_h");
    if (height == positions[1] && side_of_table(file, i, "rel_pos_w") == positions[2]) {
      c.global_blocks.push_back(i);
      continue;
    }
    check(c.window_size == 0 || c.window_size == height, "sam",
          "{}: has windows of {} and of {} tokens a side; one size is possible", place,
          c.window_size, height);
    c.window_size = height;
  }
  return c;
}

class SamFamily : public NetworkFamily {
 public:
  const char* name() const override { return "sam"; }
  const char* models() const override { return "original SAM's image encoder"; }
  const ConfigForm& config_form() const override { return arguments_form(); }
  std::string_view network() const override { return VitDetConfig::kType; }
  std::string_view mark() const override { return "image_encoder.patch_embed.proj.weight"; }
  const Family* refines() const override { return timm_family(); }
  NameTables tables(const Spelling&) const override { return {{kSamRows}, 0, false}; }
  bool is_left_out(std::string_view name) const override {
    return name.starts_with("prompt_encoder.") || name.starts_with("mask_decoder.") ||
           name == "pixel_mean" || name == "pixel_std";
  }

  void check_expressible(const NetworkConfig& config) const override {
    const VitDetConfig& c = *config.get_if<VitDetConfig>();
    const auto require = [](bool can, const char* what) {
      check(can, "convert", "original SAM's image encoder has no {}", what);
    };
    require(c.num_classes == 0, "classes");
    require(c.neck == Neck::convolutions, "neck but convolutions");
    require(c.absolute_positions && c.position_prefix == 0 && c.relative_positions,
            "positions but tables of the grid and of relative ones");
    require(c.position_rows() == c.relative_rows() && c.position_columns() == c.relative_columns(),
            "tables of different grids");
    require(!c.qk_norm, "norms of queries and keys");
    require(!c.layer_scale, "LayerScale");
    require(c.residual_blocks.empty(), "residual blocks");
    require(c.activation == kernels::Activation::gelu, "activation but gelu");
    require(c.layer_norm_epsilon == 1e-6, "epsilon of LayerNorm but 1e-6");
    require(c.window_size != c.position_rows() || c.window_size != c.position_columns(),
            "windows as large as the grid: its files would not tell them from global attention");
  }
  std::vector<const Family*> classifier_forms() const override { return {timm_sam_family()}; }

 protected:
  NetworkDraft begin(const FileReading& file) const override {
    if (file.has_config())
      check_fields(file.files.config,
                   {file.files.config_name, "original SAM, whose files stand alone,", {}});
    return NetworkDraft(encoder_of_shapes(file));
  }
  void settle(NetworkDraft&, const FileReading&) const override {}
};

}  // namespace

const Family* sam_family() {
  static const SamFamily family;
  return &family;
}

}  // namespace vitrail
