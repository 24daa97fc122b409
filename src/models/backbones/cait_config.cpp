#include "core/error.h"
#include "models/backbones/cait.h"

namespace vitrail {

namespace {

constexpr auto kCaitFields = [](auto& c, auto visit) {
  kPictureNetworkFields(c, visit);
  visit("patch_embedding", c.patch_embedding);
  visit("patch_size", c.patch_size);
  visit("patch_norm", c.patch_norm);
  visit("position_grid_height", c.position_grid_height);
  visit("position_grid_width", c.position_grid_width);
  visit("embed_dim", c.embed_dim);
  visit("depth", c.depth);
  visit("class_depth", c.class_depth);
  visit("num_heads", c.num_heads);
  visit("head_dim", c.head_dim);
  visit("mlp_hidden_dim", c.mlp_hidden_dim);
  visit("class_mlp_hidden_dim", c.class_mlp_hidden_dim);
  visit("activation", c.activation);
  visit("qkv_bias", c.qkv_bias);
  visit("head_mixing", c.head_mixing);
  visit("class_head_mixing", c.class_head_mixing);
  visit("class_norms_patches", c.class_norms_patches);
  visit("layer_norm_epsilon", c.layer_norm_epsilon);
  visit("layer_scale_init", c.layer_scale_init);
  visit("pooling", c.pooling);
  visit("position_dropout", c.position_dropout);
  visit("dropout", c.dropout);
  visit("attention_dropout", c.attention_dropout);
};

}  // namespace

void CaitConfig::set_image_size(int64_t height, int64_t width) {
  CaitConfig sized = *this;
  if (position_grid_height == 0) {
    sized.position_grid_height = image_height / patch_size;
    sized.position_grid_width = image_width / patch_size;
  }
  sized.image_height = height;
  sized.image_width = width;
  sized.validate();
  *this = sized;
}

void CaitConfig::validate() const {
  check_common();
  constexpr int64_t kMaxSide = 16384, kMaxWidth = 65536, kMaxDepth = 1024;
  constexpr int64_t kMaxTokens = int64_t{1} << 22;
  check_field("patch_size", patch_size, 1, kMaxSide);
  check_field("position_grid_height", position_grid_height, 0, kMaxSide);
  check_field("position_grid_width", position_grid_width, 0, kMaxSide);
  check_field("embed_dim", embed_dim, 1, kMaxWidth);
  check_field("depth", depth, 1, kMaxDepth);
  check_field("class_depth", class_depth, 1, kMaxDepth);
  check_field("num_heads", num_heads, 1, embed_dim);
  check_field("head_dim", head_dim, 0, kMaxWidth);
  check_field("mlp_hidden_dim", mlp_hidden_dim, 1, 4 * kMaxWidth);
  check_field("class_mlp_hidden_dim", class_mlp_hidden_dim, 1, 4 * kMaxWidth);
  check(head_dim > 0 || embed_dim % num_heads == 0, kConfigPlace,
        "num_heads {} does not divide embed_dim {}; set head_dim if heads have a size of their own",
        num_heads, embed_dim);
  check(image_height % patch_size == 0 && image_width % patch_size == 0, kConfigPlace,
        "a picture of {}x{} is not a whole number of patches of {} pixels", image_height,
        image_width, patch_size);
  check((position_grid_height == 0) == (position_grid_width == 0), kConfigPlace,
        "position_grid_height is {} and position_grid_width {}; both are 0, or neither",
        position_grid_height, position_grid_width);
  check(patch_embedding == PatchEmbedding::convolution || patch_embedding == PatchEmbedding::linear,
        kConfigPlace, "patch_embedding of a CaiT is convolution or linear, not {}",
        word_of(patch_embedding));
  check(!patch_norm || patch_embedding == PatchEmbedding::linear, kConfigPlace,
        "patch_norm goes with patch_embedding linear");
  check(!class_head_mixing || head_mixing != HeadMixingKind::none, kConfigPlace,
        "class_head_mixing needs a head_mixing");
  const int64_t tokens = (image_height / patch_size) * (image_width / patch_size);
  check(tokens > 0 && tokens <= kMaxTokens, kConfigPlace,
        "a picture of {}x{} makes {} patches of {} pixels; there must be 1 to {}", image_height,
        image_width, tokens, patch_size, kMaxTokens);
  check(pooling == Pooling::class_token || pooling == Pooling::mean, kConfigPlace,
        "pooling of a CaiT is class_token or mean, not {}", word_of(pooling));
  check_epsilon("layer_norm_epsilon", layer_norm_epsilon);
  check_rate("position_dropout", position_dropout);
  check_rate("dropout", dropout);
  check_rate("attention_dropout", attention_dropout);
}

void write_fields(const CaitConfig& config, nlohmann::json& out) {
  out.update(fields_to_json(config, kCaitFields));
}

CaitConfig cait_config_from_json(const nlohmann::json& in) {
  return config_from_fields<CaitConfig>(kCaitFields, in);
}

void set_field(CaitConfig& config, const std::string& name, const std::string& value) {
  set_config_field(config, kCaitFields, name, value);
}

}  // namespace vitrail
