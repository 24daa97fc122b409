#include "models/vit_config.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/error.h"
#include "models/field_ranges.h"
#include "models/field_words.h"

namespace vitrail {
namespace {

using nlohmann::json;

// Calls visit(name, field) for every field: the one list that writing, reading and --set share.
constexpr auto kVitFields = [](auto& c, auto visit) {
  visit("architecture", c.architecture);
  visit("image_height", c.image_height);
  visit("image_width", c.image_width);
  visit("in_channels", c.in_channels);
  visit("patch_embedding", c.patch_embedding);
  visit("patch_height", c.patches.patch_height);
  visit("patch_width", c.patches.patch_width);
  visit("patch_bias", c.patches.bias);
  visit("patch_norm", c.patches.norms);
  visit("patch_output_norm", c.patches.output_norm);
  visit("drop_partial_patches", c.patches.drop_partial);
  visit("tokenizer_layers", c.tokenizer.layers);
  visit("tokenizer_kernel", c.tokenizer.kernel);
  visit("tokenizer_stride", c.tokenizer.stride);
  visit("tokenizer_padding", c.tokenizer.padding);
  visit("tokenizer_pool_kernel", c.tokenizer.pool_kernel);
  visit("tokenizer_pool_stride", c.tokenizer.pool_stride);
  visit("tokenizer_pool_padding", c.tokenizer.pool_padding);
  visit("tokenizer_hidden_channels", c.tokenizer.hidden_channels);
  visit("tokenizer_bias", c.tokenizer.bias);
  visit("tokenizer_activation", c.tokenizer.activation);
  visit("resnet_stem_channels", c.resnet.stem_channels);
  visit("resnet_stem_kernel", c.resnet.stem_kernel);
  visit("resnet_stem_stride", c.resnet.stem_stride);
  visit("resnet_stem_pool", c.resnet.stem_pool);
  visit("resnet_blocks", c.resnet.blocks);
  visit("resnet_channels", c.resnet.channels);
  visit("resnet_pooled", c.resnet.pooled);
  visit("resnet_bottleneck", c.resnet.bottleneck);
  visit("resnet_norm", c.resnet.norm);
  visit("resnet_norm_groups", c.resnet.norm_groups);
  visit("resnet_norm_epsilon", c.resnet.norm_epsilon);
  visit("resnet_standardised", c.resnet.standardised);
  visit("resnet_same_padding", c.resnet.same_padding);
  visit("resnet_deep_stem", c.resnet.deep_stem);
  visit("resnet_average_shortcut", c.resnet.average_shortcut);
  visit("resnet_projection", c.resnet_projection);
  visit("embed_dim", c.embed_dim);
  visit("depth", c.depth);
  visit("num_heads", c.block.attention.num_heads);
  visit("head_dim", c.block.attention.head_dim);
  visit("mlp_hidden_dim", c.block.mlp.hidden);
  visit("mlp", c.block.mlp.kind);
  visit("activation", c.block.mlp.activation);
  visit("qkv_bias", c.block.attention.qkv_bias);
  visit("projection_bias", c.block.attention.projection_bias);
  visit("mlp_bias", c.block.mlp.bias);
  visit("attention_projection", c.block.attention.projection);
  visit("qk_norm", c.block.attention.qk_norm);
  visit("head_mixing", c.block.attention.mixing);
  visit("attention_norm", c.block.attention.output_norm);
  visit("mlp_norm", c.block.mlp.hidden_norm);
  visit("norm", c.norm);
  visit("norm_placement", c.block.norms);
  visit("parallel_branches", c.block.branches);
  visit("differential_attention", c.block.attention.differential);
  visit("mlp_output_bias", c.block.mlp.output_bias);
  visit("layer_norm_epsilon", c.layer_norm_epsilon);
  visit("layer_scale", c.block.layer_scale);
  visit("layer_scale_init", c.block.layer_scale_init);
  visit("class_token", c.tokens.class_token);
  visit("distillation_token", c.tokens.distillation_token);
  visit("register_tokens", c.tokens.register_tokens);
  visit("position", c.position.kind);
  visit("position_prefix", c.position.prefix);
  visit("position_grid_height", c.position.grid_height);
  visit("position_grid_width", c.position.grid_width);
  visit("position_resize", c.position.resize);
  visit("pre_norm", c.pre_norm);
  visit("final_norm", c.final_norm);
  visit("fc_norm", c.head.norm);
  visit("pre_logits_dim", c.head.pre_logits_dim);
  visit("pooling", c.head.pooling);
  visit("pool_heads", c.head.map.num_heads);
  visit("pool_mlp_hidden_dim", c.head.map.mlp_hidden_dim);
  visit("num_classes", c.num_classes);
  visit("head_bias", c.head.bias);
  visit("answer", c.answer);
  visit("multi_label", c.multi_label);
  visit("position_dropout", c.position.dropout);
  visit("dropout", c.block.dropout);
  visit("attention_dropout", c.block.attention.dropout);
  visit("drop_path", c.drop_path);
  visit("drop_path_constant", c.drop_path_constant);
  visit("rotary", c.rotary.kind);
  visit("rotary_base", c.rotary.base);
  visit("rotary_coordinates", c.rotary.coordinates);
  visit("rotary_offset", c.rotary.offset);
  visit("rotary_reference_height", c.rotary.reference_height);
  visit("rotary_reference_width", c.rotary.reference_width);
  visit("rotary_interleaved", c.rotary.interleaved);
  visit("rotary_column_first", c.rotary.column_first);
  visit("rotary_stored_periods", c.rotary.stored_periods);
  visit("relative_position", c.relative.per_block);
  visit("shared_relative_position", c.relative.shared);
  visit("relative_position_prefix", c.relative.table.prefix_has_entries);
  visit("relative_position_resize", c.relative.table.resize);
  visit("relative_position_hidden_dim", c.relative.network.hidden_dim);
  visit("key_bias", c.block.attention.key_bias);
};

void check_range(const char* name, int64_t value, int64_t low, int64_t high) {
  check(value >= low && value <= high, "model config", "{} is {}; it must lie between {} and {}",
        name, value, low, high);
}

// Generous limits: beyond them a number is a mistake or an attack, not a model.
constexpr int64_t kMaxPicture = 16384, kMaxWidth = 65536, kMaxDepth = 1024;
constexpr int64_t kMaxTokens = int64_t{1} << 22;  // of a picture

struct FieldRange {
  std::string_view name;
  int64_t low, high;
};
// Of the fields that are whole numbers, each by itself; those not named here depend on the patch
// embedding.
constexpr FieldRange kRanges[] = {
    {"image_height", 1, kMaxPicture},
    {"image_width", 1, kMaxPicture},
    {"in_channels", 1, 1024},
    {"patch_height", 1, kMaxPicture},
    {"patch_width", 1, kMaxPicture},
    {"embed_dim", 1, kMaxWidth},
    {"depth", 0, kMaxDepth},
    {"num_heads", 1, kMaxWidth},
    {"head_dim", 0, kMaxWidth},
    {"mlp_hidden_dim", 0, 16 * kMaxWidth},
    {"register_tokens", 0, kMaxWidth},
    {"num_classes", 0, int64_t{1} << 24},
    {"position_prefix", 0, 2 + kMaxWidth},
    {"position_grid_height", 0, kMaxPicture},
    {"position_grid_width", 0, kMaxPicture},
    {"pool_heads", 0, kMaxWidth},
    {"pre_logits_dim", 0, kMaxWidth},
    {"pool_mlp_hidden_dim", 0, 16 * kMaxWidth},
    {"tokenizer_layers", 1, 16},
    {"tokenizer_kernel", 1, 64},
    {"tokenizer_stride", 1, 64},
    {"tokenizer_padding", 0, 64},
    {"tokenizer_pool_kernel", 0, 64},
    {"tokenizer_pool_stride", 1, 64},
    {"tokenizer_pool_padding", 0, 64},
    {"tokenizer_hidden_channels", 1, kMaxWidth},
    {"resnet_stem_channels", 1, 65536},
    {"resnet_stem_kernel", 1, 15},
    {"resnet_stem_stride", 1, 8},
    {"resnet_norm_groups", 1, 65536},
    {"rotary_reference_height", 0, kMaxPicture},
    {"rotary_reference_width", 0, kMaxPicture},
    {"relative_position_hidden_dim", 1, kMaxWidth},
    {"parallel_branches", 1, 64},
};

void check_probability(const char* name, double value) {
  check(value >= 0 && value < 1, "model config", "{} is {}; it must lie in [0, 1)", name, value);
}

int64_t window_count(int64_t size, int64_t kernel, int64_t stride, int64_t padding) {
  return (size + 2 * padding - kernel) / stride + 1;
}

int64_t grid_size(const VitConfig& c, int64_t size, int64_t patch, const char* axis) {
  if (c.patch_embedding == PatchEmbedding::resnet) {
    check(size > 0, "vit", "a picture {} of {} is too small", axis, size);
    const int64_t cells = c.resnet.cells(size);
    if (!c.resnet_projection) return cells;
    check(cells >= patch && (cells % patch == 0 || c.patches.drop_partial), "vit",
          "a picture {} of {} has {} cells, which are not a whole number of {}", axis, size, cells,
          patch);
    return cells / patch;
  }
  if (c.patch_embedding != PatchEmbedding::tokenizer) {
    check(patch > 0, "vit", "a patch {} of {} is none", axis, patch);
    const bool whole = c.patches.drop_partial ? size >= patch : size > 0 && size % patch == 0;
    if (whole) return size / patch;
    const int64_t below = std::max<int64_t>(size / patch, 0) * patch;
    fail("vit", "a picture {} of {} is not a whole number of {} pixel patches, as {} is", axis,
         size, patch,
         below > 0 ? fmt::format("{} or {}", below, below + patch) : fmt::format("{}", patch));
  }
  const ConvTokenizerConfig& t = c.tokenizer;
  int64_t cells = size;
  for (int64_t layer = 0; layer < t.layers && cells > 0; ++layer) {
    cells = window_count(cells, t.kernel, t.stride, t.padding);
    if (t.pool_kernel > 0)
      cells = window_count(cells, t.pool_kernel, t.pool_stride, t.pool_padding);
  }
  check(size > 0 && cells > 0, "vit", "a picture {} of {} is too small for the tokenizer", axis,
        size);
  return cells;
}

void validate_resnet(const ResNetConfig& r, int64_t embed_dim, bool projection) {
  constexpr int64_t kMaxStages = 6, kMaxBlocks = 256, kMaxChannels = 65536;
  check_range("resnet_stem_channels", r.stem_channels, 1, kMaxChannels);
  check_range("resnet_stem_kernel", r.stem_kernel, 1, 15);
  check(r.stem_kernel % 2 == 1, "model config", "resnet_stem_kernel is {}; it must be odd",
        r.stem_kernel);
  check_range("resnet_stem_stride", r.stem_stride, 1, 8);
  check_range("resnet_norm_groups", r.norm_groups, 1, kMaxChannels);
  check(r.norm_epsilon >= 0 && r.norm_epsilon < 1, "model config",
        "resnet_norm_epsilon is {}; it must lie between 0 and 1", r.norm_epsilon);
  check(!r.deep_stem || r.stem_channels % 2 == 0, "model config",
        "resnet_stem_channels is {}; resnet_deep_stem needs an even number", r.stem_channels);
  const bool plain = !r.deep_stem && !r.average_shortcut && !r.pooled;
  check(!r.standardised || (plain && r.norm == Normalisation::group), "model config",
        "resnet_standardised goes with resnet_norm group, and without resnet_deep_stem, "
        "resnet_average_shortcut and resnet_pooled");
  check(r.blocks.size() == r.channels.size() && (projection || !r.blocks.empty()) &&
            r.blocks.size() <= static_cast<size_t>(kMaxStages),
        "model config",
        "resnet_blocks names {} stages and resnet_channels {}; both must name the same, 1 to {}",
        r.blocks.size(), r.channels.size(), kMaxStages);
  const int64_t squeeze = r.bottleneck ? 4 : 1;
  const auto divisible = [&](const char* name, int64_t channels) {
    check(r.norm == Normalisation::batch || channels % r.norm_groups == 0, "model config",
          "resnet_norm_groups {} does not divide {} of {}", r.norm_groups, channels, name);
  };
  divisible("resnet_stem_channels", r.stem_channels);
  for (size_t stage = 0; stage < r.blocks.size(); ++stage) {
    check_range("resnet_blocks", r.blocks[stage], r.pooled ? 0 : 1, kMaxBlocks);
    check_range("resnet_channels", r.channels[stage], squeeze, kMaxChannels);
    check(r.channels[stage] % squeeze == 0, "model config",
          "resnet_channels {} must be a multiple of 4 with resnet_bottleneck", r.channels[stage]);
    divisible("resnet_channels", r.channels[stage] / squeeze);
  }
  check(projection || embed_dim == r.out_channels(), "model config",
        "embed_dim is {}; tokens of a resnet are as wide as the last of resnet_channels, {}",
        embed_dim, r.out_channels());
}

void validate_blocks(const VitConfig& c) {
  check(c.block.branches == 1 || c.block.norms == NormPlacement::pre, "model config",
        "parallel_branches {} goes with norm_placement pre, not {}", c.block.branches,
        word_of(c.block.norms));
  check(c.block.mlp.bias || c.block.mlp.output_bias, "model config",
        "mlp_output_bias false goes with mlp_bias: without it the MLP has no bias at all");
  check(!c.block.attention.differential || c.head_size() % 2 == 0, "model config",
        "differential_attention needs heads of an even size, not {}", c.head_size());
  const char* beside = c.block.attention.mixing != HeadMixingKind::none ? "head_mixing"
                       : c.rotary.kind != Rotary::none                  ? "rotary"
                       : c.relative.present()                           ? "relative_position"
                                                                        : nullptr;
  check(!c.block.attention.differential || beside == nullptr, "model config",
        "differential_attention goes with no {}: its two maps are of no such scores", beside);
  check(c.block.branches == 1 || c.relative.per_block == RelativePosition::none, "model config",
        "relative_position is of one attention, and parallel_branches {} have several; "
        "shared_relative_position is of all",
        c.block.branches);
}

void validate_rotary(const RotaryConfig& r, int64_t head_size) {
  if (r.kind == Rotary::none) return;
  check(head_size % 4 == 0, "model config",
        "rotary positions need a head_dim divisible by 4, not {}", head_size);
  check(std::isfinite(r.base) && r.base > 0, "model config",
        "rotary_base is {}; it must be above 0", r.base);
  check(std::isfinite(r.offset), "model config", "rotary_offset is {}; it must be a number",
        r.offset);
  check((r.reference_height == 0) == (r.reference_width == 0), "model config",
        "rotary_reference_height is {} and rotary_reference_width {}; both are a grid's, or 0",
        r.reference_height, r.reference_width);
  check(r.reference_height == 0 || r.coordinates != RotaryCoordinates::centred, "model config",
        "rotary_coordinates centred goes with no rotary_reference_height: they are of no size");
  if (r.kind != Rotary::mixed) return;
  check(r.interleaved && r.offset == 0 && r.reference_height == 0 && !r.stored_periods &&
            r.coordinates == RotaryCoordinates::index,
        "model config",
        "rotary mixed goes with rotary_interleaved and rotary_coordinates index, and with no "
        "rotary_offset, rotary_reference_height or rotary_stored_periods");
}

void validate_relative(const VitConfig& c) {
  const RelativeConfig& r = c.relative;
  check(r.shared == RelativePosition::none || r.per_block == RelativePosition::none ||
            r.shared == r.per_block,
        "model config",
        "relative_position is {} and shared_relative_position {}; where both are added they are "
        "of one kind",
        word_of(r.per_block), word_of(r.shared));
  const bool shares =
      r.per_block == RelativePosition::mlp_swin || r.shared == RelativePosition::mlp_swin;
  check(!shares || (c.grid_height(c.image_height) > 1 && c.grid_width(c.image_width) > 1),
        "model config", "relative_position mlp_swin needs a grid of two rows and columns");
}

}  // namespace

const char* name_of(Answer answer) {
  return word_of(answer);
}

void check_field_range(std::string_view name, int64_t value) {
  for (const FieldRange& range : kRanges)
    if (range.name == name) check_range(range.name.data(), value, range.low, range.high);
}

int64_t VitConfig::grid_height(int64_t picture_height) const {
  return grid_size(*this, picture_height, patches.patch_height, "height");
}

int64_t VitConfig::grid_width(int64_t picture_width) const {
  return grid_size(*this, picture_width, patches.patch_width, "width");
}

void VitConfig::set_image_size(int64_t height, int64_t width) {
  if (has_position_grid() && position.grid_height == 0) {
    position.grid_height = grid_height(image_height);
    position.grid_width = grid_width(image_width);
  }
  (void)grid_height(height);
  (void)grid_width(width);
  image_height = height;
  image_width = width;
}

void VitConfig::validate() const {
  kVitFields(*this, [&](const char* name, const auto& field) {
    if constexpr (std::is_same_v<std::decay_t<decltype(field)>, int64_t>) {
      const std::string_view prefix(name);
      const bool read = prefix.starts_with("tokenizer_")
                            ? patch_embedding == PatchEmbedding::tokenizer
                            : !prefix.starts_with("resnet_");  // validate_resnet's
      if (read) check_field_range(name, field);
    }
  });
  const AttentionConfig& attention = block.attention;
  const Pooling pooling = head.pooling;
  check(attention.head_dim > 0 || embed_dim % attention.num_heads == 0, "model config",
        "num_heads {} does not divide embed_dim {}; set head_dim if heads have a size of their own",
        attention.num_heads, embed_dim);
  check(layer_norm_epsilon > 0 && layer_norm_epsilon < 1, "model config",
        "layer_norm_epsilon is {}; it must lie between 0 and 1", layer_norm_epsilon);
  if (patch_embedding == PatchEmbedding::tokenizer)
    check_range("tokenizer_padding", tokenizer.padding, 0, tokenizer.kernel);
  if (patch_embedding == PatchEmbedding::resnet)
    validate_resnet(resnet, embed_dim, resnet_projection);
  check(!resnet_projection || patch_embedding == PatchEmbedding::resnet, "model config",
        "resnet_projection goes with patch_embedding resnet");
  validate_blocks(*this);
  check(!patches.norms || patch_embedding == PatchEmbedding::linear, "model config",
        "patch_norm goes with patch_embedding linear");
  check(!patches.output_norm || (!patches.norms && !has_feature_map()), "model config",
        "patch_output_norm goes with patches, and without patch_norm");
  const int64_t cells = grid_height(image_height) * grid_width(image_width);
  check(cells <= kMaxTokens, "model config",
        "a picture of {}x{} makes {} tokens, above the limit of {}; patches may be larger",
        image_height, image_width, cells, kMaxTokens);
  check_range("position_prefix", position.prefix, 0, prefix_tokens());
  check(position.kind != Position::sincos_2d || embed_dim % 4 == 0, "model config",
        "position sincos_2d needs an embed_dim divisible by 4, not {}", embed_dim);
  check(position.kind != Position::sincos_2d_closed || (embed_dim % 4 == 0 && embed_dim > 4),
        "model config",
        "position sincos_2d_closed needs an embed_dim divisible by 4 and above it, not {}",
        embed_dim);
  const bool reads_class = pooling == Pooling::class_token || pooling == Pooling::class_and_mean;
  check(!reads_class || prefix_tokens() > 0, "model config", "pooling {} needs a class token",
        word_of(pooling));
  check(pooling != Pooling::distilled || head.pre_logits_dim == 0, "model config",
        "pooling distilled goes with no pre_logits_dim: its two heads read their tokens");
  check(pooling != Pooling::distilled || (tokens.class_token && tokens.distillation_token),
        "model config", "pooling distilled needs a class token and a distillation token");
  check(attention.projection || attention.num_heads * head_size() == embed_dim, "model config",
        "without attention_projection heads times head_dim must be embed_dim");
  const int64_t pooling_heads = head.map.num_heads > 0 ? head.map.num_heads : attention.num_heads;
  check(!is_map(pooling) || embed_dim % pooling_heads == 0, "model config",
        "pool_heads {} does not divide embed_dim {}", pooling_heads, embed_dim);
  check(attention.mixing == HeadMixingKind::none || !attention.qk_norm, "model config",
        "head_mixing {} goes with no qk_norm", word_of(attention.mixing));
  check(!multi_label || answer == Answer::sigmoid, "model config",
        "multi_label goes with answer sigmoid, not {}", word_of(answer));
  validate_rotary(rotary, head_size());
  validate_relative(*this);
  check_probability("position_dropout", position.dropout);
  check_probability("dropout", block.dropout);
  check_probability("attention_dropout", attention.dropout);
  check_probability("drop_path", drop_path);
}

void write_fields(const VitConfig& config, json& out) {
  out.update(fields_to_json(config, kVitFields));
}

const VitConfig& as_vit(const NetworkConfig& config) {
  const auto* vit = config.get_if<VitConfig>();
  check(vit != nullptr, "model", "a plain Vision Transformer is needed here, and this is a {}",
        config.type());
  return *vit;
}

VitConfig& as_vit(NetworkConfig& config) {
  return const_cast<VitConfig&>(as_vit(std::as_const(config)));
}

VitConfig vit_config_from_json(const json& in) {
  return config_from_fields<VitConfig>(kVitFields, in);
}

void set_field(VitConfig& config, const std::string& name, const std::string& value) {
  set_config_field(config, kVitFields, name, value);
  // At once: what is set is computed with before the whole can be validated.
  kVitFields(config, [&](const char* field_name, const auto& field) {
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(field)>, int64_t>)
      if (name == field_name) check_field_range(name, field);
  });
}

}  // namespace vitrail
