#include "core/error.h"
#include "models/backbones/xcit.h"

namespace vitrail {

namespace {

constexpr auto kXcitFields = [](auto& c, auto visit) {
  kPictureNetworkFields(c, visit);
  visit("patch_size", c.patch_size);
  visit("fourier_positions", c.fourier_positions);
  visit("embed_dim", c.embed_dim);
  visit("depth", c.depth);
  visit("class_depth", c.class_depth);
  visit("num_heads", c.num_heads);
  visit("mlp_hidden_dim", c.mlp_hidden_dim);
  visit("activation", c.activation);
  visit("qkv_bias", c.qkv_bias);
  visit("tokens_norm", c.tokens_norm);
  visit("layer_norm_epsilon", c.layer_norm_epsilon);
  visit("layer_scale_init", c.layer_scale_init);
  visit("pooling", c.pooling);
  visit("position_dropout", c.position_dropout);
  visit("dropout", c.dropout);
  visit("attention_dropout", c.attention_dropout);
};

}  // namespace

void XcitConfig::set_image_size(int64_t height, int64_t width) {
  resize_pictures(*this, height, width);
}

void XcitConfig::validate() const {
  check_common();
  constexpr int64_t kMaxWidth = 65536, kMaxDepth = 1024;
  constexpr int64_t kMaxTokens = int64_t{1} << 22;
  check_field("embed_dim", embed_dim, 1, kMaxWidth);
  check_field("depth", depth, 1, kMaxDepth);
  check_field("class_depth", class_depth, 1, kMaxDepth);
  check_field("num_heads", num_heads, 1, embed_dim);
  check_field("mlp_hidden_dim", mlp_hidden_dim, 1, 4 * kMaxWidth);
  check(patch_size == 8 || patch_size == 16, kConfigPlace,
        "patch_size is {}; convolutions make patches of 8 or 16 pixels", patch_size);
  check(embed_dim >= patch_size / 2, kConfigPlace,
        "embed_dim is {}; the first convolution of patches of {} needs {}", embed_dim, patch_size,
        patch_size / 2);
  check(embed_dim % num_heads == 0, kConfigPlace, "num_heads {} does not divide embed_dim {}",
        num_heads, embed_dim);
  const int64_t tokens = (image_height / patch_size) * (image_width / patch_size);
  check(tokens > 0 && tokens <= kMaxTokens, kConfigPlace,
        "a picture of {}x{} makes {} patches of {} pixels; there must be 1 to {}", image_height,
        image_width, tokens, patch_size, kMaxTokens);
  check(pooling == Pooling::class_token || pooling == Pooling::mean, kConfigPlace,
        "pooling of an XCiT is class_token or mean, not {}", word_of(pooling));
  check_epsilon("layer_norm_epsilon", layer_norm_epsilon);
  check_rate("position_dropout", position_dropout);
  check_rate("dropout", dropout);
  check_rate("attention_dropout", attention_dropout);
}

void write_fields(const XcitConfig& config, nlohmann::json& out) {
  out.update(fields_to_json(config, kXcitFields));
}

XcitConfig xcit_config_from_json(const nlohmann::json& in) {
  return config_from_fields<XcitConfig>(kXcitFields, in);
}

void set_field(XcitConfig& config, const std::string& name, const std::string& value) {
  set_config_field(config, kXcitFields, name, value);
}

}  // namespace vitrail
