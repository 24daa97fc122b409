#include "models/backbones/efficientformer_config.h"

#include <numeric>

namespace vitrail {
namespace {

constexpr auto kEfficientFormerFields = [](auto& c, auto visit) {
  kPictureNetworkFields(c, visit);
  visit("depths", c.depths);
  visit("embed_dims", c.embed_dims);
  visit("num_vit", c.num_vit);
  visit("mlp_ratio", c.mlp_ratio);
  visit("pool_size", c.pool_size);
  visit("num_heads", c.num_heads);
  visit("key_dim", c.key_dim);
  visit("value_dim", c.value_dim);
  visit("attention_grid", c.attention_grid);
  visit("activation", c.activation);
  visit("layer_scale_init", c.layer_scale_init);
  visit("dropout", c.dropout);
};

}  // namespace

int64_t EfficientFormerConfig::num_blocks() const {
  return std::accumulate(depths.begin(), depths.end(), int64_t{0});
}

int64_t EfficientFormerConfig::cells(int64_t pixels) const {
  // Two strides of the stem, and one between stages; each rounds up.
  for (size_t i = 0; i < depths.size() + 1; ++i) pixels = (pixels + 1) / 2;
  return pixels;
}

void EfficientFormerConfig::validate() const {
  check_common();
  check_rate("dropout", dropout);
  check_stages("depths", depths.size(),
               {{"depths", depths, 1, 1024}, {"embed_dims", embed_dims, 2}});
  check_field("num_vit", num_vit, 1, depths.back());
  check_ratio("mlp_ratio", mlp_ratio);
  check_field("pool_size", pool_size, 1, 63);
  check(pool_size % 2 == 1, kConfigPlace, "pool_size is {}; it must be odd", pool_size);
  check_field("num_heads", num_heads, 1, 65536);
  check_field("key_dim", key_dim, 1, 65536);
  check_field("value_dim", value_dim, 1, 65536);
  check_field("attention_grid", attention_grid, 1, 256);
  const int64_t rows = cells(image_height), columns = cells(image_width);
  const int64_t most = attention_grid << (depths.size() + 1);
  check(rows == attention_grid && columns == attention_grid, kConfigPlace,
        "a picture of {}x{} gives the last stage a grid of {}x{}, and its biases are for {}x{}: "
        "pictures of {}x{} give that",
        image_height, image_width, rows, columns, attention_grid, attention_grid, most, most);
}

void write_fields(const EfficientFormerConfig& config, nlohmann::json& out) {
  out.update(fields_to_json(config, kEfficientFormerFields));
}

EfficientFormerConfig efficientformer_config_from_json(const nlohmann::json& in) {
  return config_from_fields<EfficientFormerConfig>(kEfficientFormerFields, in);
}

void set_field(EfficientFormerConfig& config, const std::string& name, const std::string& value) {
  set_config_field(config, kEfficientFormerFields, name, value);
}

}  // namespace vitrail
