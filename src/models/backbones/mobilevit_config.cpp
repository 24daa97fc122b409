#include "models/backbones/mobilevit_config.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace vitrail {

inline constexpr std::array kPatchFits{Word{PatchFit::resized_back, "resized_back"},
                                       Word{PatchFit::resized, "resized"},
                                       Word{PatchFit::cut, "cut"}};
constexpr auto words_of(PatchFit) {
  return std::span(kPatchFits);
}

namespace {

constexpr auto kMobileVitFields = [](auto& c, auto visit) {
  kPictureNetworkFields(c, visit);
  visit("separable", c.separable);
  visit("stem_channels", c.stem_channels);
  visit("channels", c.channels);
  visit("depths", c.depths);
  visit("expand_ratio", c.expand_ratio);
  visit("transformer_dims", c.transformer_dims);
  visit("transformer_depths", c.transformer_depths);
  visit("mlp_hidden_dims", c.mlp_hidden_dims);
  visit("num_heads", c.num_heads);
  visit("qkv_bias", c.qkv_bias);
  visit("patch_size", c.patch_size);
  visit("patch_fit", c.patch_fit);
  visit("kernel_size", c.kernel_size);
  visit("final_channels", c.final_channels);
  visit("activation", c.activation);
  visit("layer_norm_epsilon", c.layer_norm_epsilon);
  visit("mlp_dropout", c.mlp_dropout);
  visit("attention_dropout", c.attention_dropout);
  visit("dropout", c.dropout);
};

}  // namespace

int64_t expanded_channels(int64_t channels, double ratio) {
  constexpr int64_t kStep = 8;
  const auto wanted = static_cast<int64_t>(std::nearbyint(static_cast<double>(channels) * ratio));
  const int64_t rounded = std::max(kStep, (wanted + kStep / 2) / kStep * kStep);
  return static_cast<double>(rounded) < 0.9 * static_cast<double>(wanted) ? rounded + kStep
                                                                          : rounded;
}

int64_t MobileVitConfig::num_blocks() const {
  return std::accumulate(depths.begin(), depths.end(), int64_t{0}) +
         static_cast<int64_t>(transformer_dims.size());
}

void MobileVitConfig::validate() const {
  check_common();
  check_rate("dropout", dropout);
  constexpr int64_t kMostChannels = 65536;
  check_stages("channels", channels.size(), {{"channels", channels}, {"depths", depths, 1, 1024}});
  const size_t transformers = transformer_dims.size();
  check(transformers <= channels.size(), kConfigPlace,
        "transformer_dims names {} stages, and channels only {}", transformers, channels.size());
  check_stages("transformer_dims", transformers,
               {{"transformer_dims", transformer_dims},
                {"transformer_depths", transformer_depths, 1, 1024},
                {"mlp_hidden_dims", mlp_hidden_dims}});
  check_field("stem_channels", stem_channels, 1, kMostChannels);
  check_ratio("expand_ratio", expand_ratio);
  check_field("num_heads", num_heads, 1, kMostChannels);
  for (const int64_t dim : transformer_dims)
    check(separable || dim % num_heads == 0, kConfigPlace,
          "num_heads {} does not divide {} of transformer_dims", num_heads, dim);
  check_field("patch_size", patch_size, 1, 64);
  check(separable == (patch_fit != PatchFit::resized_back), kConfigPlace,
        "patch_fit {} goes with separable {}", word_of(patch_fit),
        patch_fit == PatchFit::resized_back ? "false" : "true");
  check_field("kernel_size", kernel_size, 1, 63);
  check(kernel_size % 2 == 1, kConfigPlace, "kernel_size is {}; it must be odd", kernel_size);
  check_field("final_channels", final_channels, 0, kMostChannels);
  check_epsilon("layer_norm_epsilon", layer_norm_epsilon);
  check_rate("mlp_dropout", mlp_dropout);
  check_rate("attention_dropout", attention_dropout);
  if (patch_fit != PatchFit::cut) return;
  for (int64_t side : {image_height, image_width}) {
    side = (side + 1) / 2;
    for (size_t i = 1; i < channels.size(); ++i) {
      side = (side + 1) / 2;
      check(i < plain_stages() || side >= patch_size, kConfigPlace,
            "a picture of {}x{} gives stage {} a side of {} cells, less than a patch of {}; larger "
            "pictures do",
            image_height, image_width, i, side, patch_size);
    }
  }
}

bool has_whole_patches(const MobileVitConfig& c) {
  for (int64_t side : {c.image_height, c.image_width}) {
    side = (side + 1) / 2;
    for (size_t i = 0; i < c.channels.size(); ++i) {
      if (i > 0) side = (side + 1) / 2;
      if (i >= c.plain_stages() && side % c.patch_size != 0) return false;
    }
  }
  return true;
}

void write_fields(const MobileVitConfig& config, nlohmann::json& out) {
  out.update(fields_to_json(config, kMobileVitFields));
}

MobileVitConfig mobilevit_config_from_json(const nlohmann::json& in) {
  return config_from_fields<MobileVitConfig>(kMobileVitFields, in);
}

void set_field(MobileVitConfig& config, const std::string& name, const std::string& value) {
  set_config_field(config, kMobileVitFields, name, value);
}

}  // namespace vitrail
