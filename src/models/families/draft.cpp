#include "models/families/draft.h"

#include <cmath>
#include <optional>

#include "core/error.h"
#include "formats/json_text.h"
#include "models/field_ranges.h"

namespace vitrail {
namespace {

std::optional<int64_t> square_root(int64_t value) {
  const auto root = static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(value))));
  if (value <= 0 || root * root != value) return std::nullopt;
  return root;
}

// How many prefix tokens the family's pos_embed may cover, the likelier first.
std::vector<int64_t> position_prefixes(const VisionTransformerConfig& c, Family family) {
  const int64_t named = (c.class_token ? 1 : 0) + (c.distillation_token ? 1 : 0);
  if (family != Family::timm) return {named};
  if (c.prefix_tokens() == 0) return {0};
  return {c.prefix_tokens(), 0};
}

}  // namespace

void ConfigDraft::record(const std::string& field, const std::string& source) {
  const nlohmann::json fields = to_json(config);
  const auto found = fields.find(field);
  std::string value = found == fields.end() ? "" : json_text(*found);
  if (value.size() >= 2 && value.front() == '"') value = value.substr(1, value.size() - 2);
  sources.push_back({field, std::move(value), source});
}

void ConfigDraft::settle_image(int64_t height, int64_t width, const std::string& source) {
  if (open.erase("image_size") == 0) return;
  config.image_height = height;
  config.image_width = width;
  record("image_height", source);
  record("image_width", source);
}

void ConfigDraft::add_preprocess(PreprocessKind kind, nlohmann::json block,
                                 const std::string& source) {
  if (preprocess_kind != PreprocessKind::none) return;
  preprocess_kind = kind;
  preprocess = std::move(block);
  sources.push_back({"preprocess", "", source});
}

void settle_family_constants(ConfigDraft& draft, const Spelling& spelling) {
  using C = VisionTransformerConfig;
  const std::string source = std::string("every ") + name_of(spelling.family) + " model";
  C& c = draft.config;
  switch (spelling.family) {
    case Family::dinov2:
      draft.settle("layer_norm_epsilon", &C::layer_norm_epsilon, 1e-6, source);
      draft.settle("activation", &C::activation,
                   c.mlp == MlpKind::plain ? Activation::gelu : Activation::silu, source);
      draft.settle("pooling", &C::pooling, Pooling::class_token, source);
      c.position_resize = c.register_tokens > 0 ? PositionResize::bicubic_antialias
                                                : PositionResize::bicubic_offset;
      break;
    case Family::vit_pytorch:
      draft.settle("layer_norm_epsilon", &C::layer_norm_epsilon, 1e-5, source);
      if (!c.class_token) draft.settle("pooling", &C::pooling, Pooling::mean_all, source);
      if (!c.attention_projection) draft.settle("num_heads", &C::num_heads, int64_t{1}, source);
      break;
    case Family::hf_vit:
    case Family::hf_deit:
    case Family::hf_dinov2:
      draft.settle("pooling", &C::pooling, Pooling::class_token, source);
      if (c.mlp != MlpKind::plain)
        draft.settle("activation", &C::activation, Activation::silu, source);
      c.drop_partial_patches = true;
      c.position_resize = spelling.family == Family::hf_dinov2 && c.register_tokens > 0
                              ? PositionResize::bicubic_antialias
                              : PositionResize::bicubic;
      break;
    case Family::timm:
      if (c.distillation_token) draft.settle("pooling", &C::pooling, Pooling::distilled, source);
      break;
    case Family::vitrail:
      break;
  }
}

void settle_positions(ConfigDraft& draft, Family family, const std::string& place) {
  VisionTransformerConfig& c = draft.config;
  // timm compares a picture with the model's own size alone, whether patches fill it or not.
  if (family == Family::timm && !draft.is_open("image_size") && c.patch_height > 0 &&
      c.patch_width > 0)
    c.drop_partial_patches =
        c.image_height % c.patch_height != 0 || c.image_width % c.patch_width != 0;
  if (c.position != Position::learned) return;
  const std::vector<int64_t> prefixes = draft.position_prefix
                                            ? std::vector<int64_t>{*draft.position_prefix}
                                            : position_prefixes(c, family);
  if (!draft.is_open("image_size")) {
    check_field_range("image_height", c.image_height);
    check_field_range("image_width", c.image_width);
    const int64_t grid = c.grid_height(c.image_height) * c.grid_width(c.image_width);
    for (const int64_t prefix : prefixes)
      if (draft.position_rows - prefix == grid) {
        c.position_prefix = prefix;
        return;
      }
  }
  // Made for another picture: a square one, as every family's own loader assumes.
  std::vector<std::pair<int64_t, int64_t>> squares;
  for (const int64_t prefix : prefixes)
    if (const auto side = square_root(draft.position_rows - prefix))
      squares.emplace_back(prefix, *side);
  if (squares.size() == 1 || (!squares.empty() && !draft.is_open("image_size"))) {
    const auto [prefix, side] = squares.front();
    c.position_prefix = prefix;
    if (draft.is_open("image_size")) {
      draft.settle_image(side * c.patch_height, side * c.patch_width, "shapes (position grid)");
    } else {
      c.position_grid_height = c.position_grid_width = side;
      draft.record("position_grid_height", "shapes");
      draft.record("position_grid_width", "shapes");
    }
    return;
  }
  if (!draft.is_open("image_size"))
    fail("shapes", "{}: {} positions fit neither a picture of {}x{} nor a square grid", place,
         draft.position_rows, c.image_height, c.image_width);
}

}  // namespace vitrail
