#include "models/backbones/efficientformer_config.h"

#include <nlohmann/json.hpp>
#include <numeric>

#include "core/nearest.h"
#include "models/field_words.h"

namespace vitrail {
namespace {

constexpr const char* kEfficientFormerPlace = "model config";

constexpr auto kEfficientFormerFields = [](auto& c, auto visit) {
  kPictureFields(c, visit);
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
  kClassifierFields(c, visit);
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
  validate_common();
  check_field("the number of depths", static_cast<int64_t>(depths.size()), 1, 8);
  check(embed_dims.size() == depths.size(), kEfficientFormerPlace,
        "embed_dims names {} stages and depths {}; both must name as many", embed_dims.size(),
        depths.size());
  for (const int64_t depth : depths) check_field("depths", depth, 1, 1024);
  for (const int64_t dim : embed_dims) check_field("embed_dims", dim, 2, 65536);
  check_field("num_vit", num_vit, 1, depths.back());
  check_field("mlp_ratio", mlp_ratio, 0.01, 64);
  check_field("pool_size", pool_size, 1, 63);
  check(pool_size % 2 == 1, kEfficientFormerPlace, "pool_size is {}; it must be odd", pool_size);
  check_field("num_heads", num_heads, 1, 65536);
  check_field("key_dim", key_dim, 1, 65536);
  check_field("value_dim", value_dim, 1, 65536);
  check_field("attention_grid", attention_grid, 1, 256);
  check_field("layer_scale_init", layer_scale_init, -1e6, 1e6);
  const int64_t rows = cells(image_height), columns = cells(image_width);
  const int64_t most = attention_grid << (depths.size() + 1);
  check(rows == attention_grid && columns == attention_grid, kEfficientFormerPlace,
        "a picture of {}x{} gives the last stage a grid of {}x{}, and its biases are for {}x{}: "
        "pictures of {}x{} give that",
        image_height, image_width, rows, columns, attention_grid, attention_grid, most, most);
}

void write_fields(const EfficientFormerConfig& config, nlohmann::json& out) {
  out.update(fields_to_json(config, kEfficientFormerFields));
}

EfficientFormerConfig efficientformer_config_from_json(const nlohmann::json& in) {
  EfficientFormerConfig config;
  closed_fields_from_json(config, kEfficientFormerFields, in, kEfficientFormerPlace);
  config.validate();
  return config;
}

void set_field(EfficientFormerConfig& config, const std::string& name, const std::string& value) {
  if (field_from_text(config, kEfficientFormerFields, name, value, kEfficientFormerPlace)) return;
  fail(kEfficientFormerPlace, "there is no field '{}'{}", name,
       did_you_mean_or_all(name, field_names<EfficientFormerConfig>(kEfficientFormerFields)));
}

}  // namespace vitrail
