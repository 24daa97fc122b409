#include "models/backbones/tiny_vit_config.h"

#include <numeric>

namespace vitrail {
namespace {

constexpr auto kTinyVitFields = [](auto& c, auto visit) {
  kPictureNetworkFields(c, visit);
  visit("embed_dims", c.embed_dims);
  visit("depths", c.depths);
  visit("num_heads", c.num_heads);
  visit("window_sizes", c.window_sizes);
  visit("mlp_ratio", c.mlp_ratio);
  visit("mbconv_expand_ratio", c.mbconv_expand_ratio);
  visit("local_conv_size", c.local_conv_size);
  visit("activation", c.activation);
  visit("dropout", c.dropout);
};

}  // namespace

int64_t TinyVitConfig::num_blocks() const {
  return std::accumulate(depths.begin(), depths.end(), int64_t{0});
}

void TinyVitConfig::validate() const {
  check_common();
  check_rate("dropout", dropout);
  const size_t stages = embed_dims.size();
  check_stages("embed_dims", stages,
               {{"embed_dims", embed_dims, 2},
                {"depths", depths, 1, 1024},
                {"num_heads", num_heads},
                {"window_sizes", window_sizes, 1, 256}});
  check_ratio("mlp_ratio", mlp_ratio);
  check_ratio("mbconv_expand_ratio", mbconv_expand_ratio);
  check_field("local_conv_size", local_conv_size, 1, 63);
  check(local_conv_size % 2 == 1, kConfigPlace, "local_conv_size is {}; it must be odd",
        local_conv_size);
  check(embed_dims.front() % 2 == 0, kConfigPlace,
        "the first of embed_dims is {}; half of it is the stem's width, so it must be even",
        embed_dims.front());
  for (size_t i = 1; i < stages; ++i)
    check(embed_dims[i] % num_heads[i] == 0, kConfigPlace,
          "num_heads {} of stage {} does not divide its embed_dims, {}", num_heads[i], i,
          embed_dims[i]);
}

void write_fields(const TinyVitConfig& config, nlohmann::json& out) {
  out.update(fields_to_json(config, kTinyVitFields));
}

TinyVitConfig tiny_vit_config_from_json(const nlohmann::json& in) {
  return config_from_fields<TinyVitConfig>(kTinyVitFields, in);
}

void set_field(TinyVitConfig& config, const std::string& name, const std::string& value) {
  set_config_field(config, kTinyVitFields, name, value);
}

}  // namespace vitrail
