// config.json of files whose library writes none: what hub mixins write of vit-pytorch's ViT, and
// our own.
#include <array>

#include "core/error.h"
#include "formats/json.h"
#include "models/families/draft.h"
#include "models/families/fields.h"

namespace vitrail {
namespace {

using C = VisionTransformerConfig;

// The arguments of vit-pytorch's ViT.
constexpr FieldRule kVitPytorch[] = {
    {"image_size"},
    {"patch_size"},
    {"num_classes"},
    {"dim"},
    {"depth"},
    {"heads"},
    {"mlp_dim"},
    {"pool"},
    {"channels"},
    {"dim_head"},
    {"dropout", FieldRule::kNumber},
    {"emb_dropout", FieldRule::kNumber},
};

constexpr FieldRule kOwn[] = {
    {"family"}, {"model_type"}, {"model"},     {"preprocess"},   {"labels"},
    {"wnids"},  {"precision"},  {"rejection"}, {"problem_type"},
};

std::pair<int64_t, int64_t> sides(const Json& config, const char* key, const std::string& place) {
  if (config.at(key).is_array()) {
    const auto pair = get<std::vector<int64_t>>(config, key, place);
    if (pair.size() != 2) fail("vit-pytorch", "{}: {} takes one number or two", place, key);
    return {pair[0], pair[1]};
  }
  const auto side = get<int64_t>(config, key, place);
  return {side, side};
}

void agree(const Json& config, const char* key, int64_t shape, const std::string& place) {
  const auto value = get_optional<int64_t>(config, key, place);
  if (value && *value != shape)
    fail("vit-pytorch", "{}: {} is {}, but the tensors have {}", place, key, *value, shape);
}

}  // namespace

void settle_from_vit_pytorch(ConfigDraft& draft, const Json& config, const std::string& place) {
  const std::array<std::span<const FieldRule>, 1> rules = {kVitPytorch};
  check_fields(config, {place, "vit-pytorch's ViT", rules});
  const C& c = draft.config;
  const auto has = [&](const char* key) {
    const auto found = config.find(key);
    return found != config.end() && !found->is_null();
  };
  agree(config, "dim", c.embed_dim, place);
  agree(config, "depth", c.depth, place);
  agree(config, "mlp_dim", c.mlp_hidden_dim, place);
  agree(config, "num_classes", c.num_classes, place);
  draft.settle("in_channels", &C::in_channels,
               get_optional<int64_t>(config, "channels", place).value_or(3),
               has("channels") ? place : "vit-pytorch's default");
  agree(config, "channels", c.in_channels, place);
  if (has("patch_size")) {
    const auto [height, width] = sides(config, "patch_size", place);
    if (height < 1 || width < 1 || height * width * c.in_channels != draft.patch_columns)
      fail("vit-pytorch",
           "{}: patch_size {}x{} of {} channels is not the {} columns of the patch "
           "embedding",
           place, height, width, c.in_channels, draft.patch_columns);
    draft.settle("patch_height", &C::patch_height, height, place);
    draft.settle("patch_width", &C::patch_width, width, place);
  }
  if (has("heads"))
    draft.settle("num_heads", &C::num_heads, get<int64_t>(config, "heads", place), place);
  if (has("dim_head") && !draft.is_open("num_heads"))
    agree(config, "dim_head", draft.attention_width / c.num_heads, place);
  if (has("pool")) {
    const auto pool = get<std::string>(config, "pool", place);
    if (pool != "cls" && pool != "mean")
      fail("vit-pytorch", "{}: pool {} is not supported; cls and mean are", place, shown(pool));
    draft.settle("pooling", &C::pooling, pool == "cls" ? Pooling::class_token : Pooling::mean_all,
                 place);
  }
  if (has("image_size")) {
    const auto [height, width] = sides(config, "image_size", place);
    draft.settle_image(height, width, place);
  }
}

void refuse_dinov2_config(const Json& config, const std::string& place) {
  check_fields(config, {place, "original DINOv2, whose files stand alone,", {}});
}

void check_own_config(const Json& config, const std::string& place) {
  // The bare form is the model itself, whose fields are checked when it is read.
  if (!config.contains("model")) return;
  const std::array<std::span<const FieldRule>, 1> rules = {kOwn};
  check_fields(config, {place, "Vitrail's configuration", rules});
}

}  // namespace vitrail
