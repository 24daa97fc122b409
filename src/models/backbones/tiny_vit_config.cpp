#include "models/backbones/tiny_vit_config.h"

#include <nlohmann/json.hpp>
#include <numeric>

#include "core/nearest.h"
#include "models/field_words.h"

namespace vitrail {
namespace {

constexpr const char* kTinyVitPlace = "model config";

constexpr auto kTinyVitFields = [](auto& c, auto visit) {
  kPictureFields(c, visit);
  visit("embed_dims", c.embed_dims);
  visit("depths", c.depths);
  visit("num_heads", c.num_heads);
  visit("window_sizes", c.window_sizes);
  visit("mlp_ratio", c.mlp_ratio);
  visit("mbconv_expand_ratio", c.mbconv_expand_ratio);
  visit("local_conv_size", c.local_conv_size);
  visit("activation", c.activation);
  kClassifierFields(c, visit);
};

}  // namespace

int64_t TinyVitConfig::num_blocks() const {
  return std::accumulate(depths.begin(), depths.end(), int64_t{0});
}

void TinyVitConfig::validate() const {
  validate_common();
  const size_t stages = embed_dims.size();
  check_field("the number of embed_dims", static_cast<int64_t>(stages), 1, 8);
  for (const auto& [name, list] :
       {std::pair{"depths", &depths}, {"num_heads", &num_heads}, {"window_sizes", &window_sizes}})
    check(list->size() == stages, kTinyVitPlace,
          "{} names {} stages and embed_dims {}; both must name as many", name, list->size(),
          stages);
  check_field("mlp_ratio", mlp_ratio, 0.01, 64);
  check_field("mbconv_expand_ratio", mbconv_expand_ratio, 0.01, 64);
  check_field("local_conv_size", local_conv_size, 1, 63);
  check(local_conv_size % 2 == 1, kTinyVitPlace, "local_conv_size is {}; it must be odd",
        local_conv_size);
  check(embed_dims.front() % 2 == 0, kTinyVitPlace,
        "the first of embed_dims is {}; half of it is the stem's width, so it must be even",
        embed_dims.front());
  for (size_t i = 0; i < stages; ++i) {
    check_field("depths", depths[i], 1, 1024);
    check_field("embed_dims", embed_dims[i], 2, 65536);
    if (i == 0) continue;
    check_field("window_sizes", window_sizes[i], 1, 256);
    check_field("num_heads", num_heads[i], 1, embed_dims[i]);
    check(embed_dims[i] % num_heads[i] == 0, kTinyVitPlace,
          "num_heads {} of stage {} does not divide its embed_dims, {}", num_heads[i], i,
          embed_dims[i]);
  }
}

void write_fields(const TinyVitConfig& config, nlohmann::json& out) {
  out.update(fields_to_json(config, kTinyVitFields));
}

TinyVitConfig tiny_vit_config_from_json(const nlohmann::json& in) {
  TinyVitConfig config;
  closed_fields_from_json(config, kTinyVitFields, in, kTinyVitPlace);
  config.validate();
  return config;
}

void set_field(TinyVitConfig& config, const std::string& name, const std::string& value) {
  if (field_from_text(config, kTinyVitFields, name, value, kTinyVitPlace)) return;
  fail(kTinyVitPlace, "there is no field '{}'{}", name,
       did_you_mean_or_all(name, field_names<TinyVitConfig>(kTinyVitFields)));
}

}  // namespace vitrail
