#include "models/backbones/mobilevit_config.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "core/nearest.h"
#include "models/field_words.h"

namespace vitrail {

inline constexpr std::array kPatchFits{Word{PatchFit::resized_back, "resized_back"},
                                       Word{PatchFit::resized, "resized"},
                                       Word{PatchFit::cut, "cut"}};
constexpr auto words_of(PatchFit) {
  return std::span(kPatchFits);
}

namespace {

constexpr const char* kMobileVitPlace = "model config";

constexpr auto kMobileVitFields = [](auto& c, auto visit) {
  kPictureFields(c, visit);
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
  kClassifierFields(c, visit);
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
  validate_common();
  constexpr int64_t kMostChannels = 65536;
  check_field("the number of channels", static_cast<int64_t>(channels.size()), 1, 8);
  check(depths.size() == channels.size(), kMobileVitPlace,
        "depths names {} stages and channels {}; both must name as many", depths.size(),
        channels.size());
  const size_t transformers = transformer_dims.size();
  check(transformers <= channels.size(), kMobileVitPlace,
        "transformer_dims names {} stages, and channels only {}", transformers, channels.size());
  for (const auto& [name, list] : {std::pair{"transformer_depths", &transformer_depths},
                                   {"mlp_hidden_dims", &mlp_hidden_dims}})
    check(list->size() == transformers, kMobileVitPlace,
          "{} names {} stages and transformer_dims {}; both must name as many", name, list->size(),
          transformers);
  check_field("stem_channels", stem_channels, 1, kMostChannels);
  for (const int64_t width : channels) check_field("channels", width, 1, kMostChannels);
  for (const int64_t depth : depths) check_field("depths", depth, 1, 1024);
  check_field("expand_ratio", expand_ratio, 0.01, 64);
  check_field("num_heads", num_heads, 1, kMostChannels);
  for (size_t i = 0; i < transformers; ++i) {
    check_field("transformer_dims", transformer_dims[i], 1, kMostChannels);
    check_field("transformer_depths", transformer_depths[i], 1, 1024);
    check_field("mlp_hidden_dims", mlp_hidden_dims[i], 1, kMostChannels);
    check(separable || transformer_dims[i] % num_heads == 0, kMobileVitPlace,
          "num_heads {} does not divide {} of transformer_dims", num_heads, transformer_dims[i]);
  }
  check_field("patch_size", patch_size, 1, 64);
  check(separable == (patch_fit != PatchFit::resized_back), kMobileVitPlace,
        "patch_fit {} goes with separable {}", word_of(patch_fit),
        patch_fit == PatchFit::resized_back ? "false" : "true");
  check_field("kernel_size", kernel_size, 1, 63);
  check(kernel_size % 2 == 1, kMobileVitPlace, "kernel_size is {}; it must be odd", kernel_size);
  check_field("final_channels", final_channels, 0, kMostChannels);
  check(layer_norm_epsilon > 0 && layer_norm_epsilon < 1, kMobileVitPlace,
        "layer_norm_epsilon is {}; it must lie between 0 and 1", layer_norm_epsilon);
  for (const auto& [name, rate] :
       {std::pair{"mlp_dropout", mlp_dropout}, {"attention_dropout", attention_dropout}})
    check(rate >= 0 && rate < 1, kMobileVitPlace, "{} is {}; it must lie in [0, 1)", name, rate);
  if (patch_fit != PatchFit::cut) return;
  for (int64_t side : {image_height, image_width}) {
    side = (side + 1) / 2;
    for (size_t i = 1; i < channels.size(); ++i) {
      side = (side + 1) / 2;
      check(i < plain_stages() || side >= patch_size, kMobileVitPlace,
            "a picture of {}x{} gives stage {} a side of {} cells, less than a patch of {}; larger "
            "pictures do",
            image_height, image_width, i, side, patch_size);
    }
  }
}

void write_fields(const MobileVitConfig& config, nlohmann::json& out) {
  out.update(fields_to_json(config, kMobileVitFields));
}

MobileVitConfig mobilevit_config_from_json(const nlohmann::json& in) {
  MobileVitConfig config;
  closed_fields_from_json(config, kMobileVitFields, in, kMobileVitPlace);
  config.validate();
  return config;
}

void set_field(MobileVitConfig& config, const std::string& name, const std::string& value) {
  if (field_from_text(config, kMobileVitFields, name, value, kMobileVitPlace)) return;
  fail(kMobileVitPlace, "there is no field '{}'{}", name,
       did_you_mean_or_all(name, field_names<MobileVitConfig>(kMobileVitFields)));
}

}  // namespace vitrail
