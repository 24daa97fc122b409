// What AugmentOptions holds, by name, and its limits.
#include "core/error.h"
#include "data/augment.h"
#include "formats/option_fields.h"

namespace vitrail {
namespace {

constexpr const char* kPlace = "augment";
constexpr int64_t kMaxPadding = 4096;
constexpr double kMaxBlurRadius = 1000;

constexpr auto kFields = [](auto& o, auto visit) {
  visit("random_resized_crop", o.random_resized_crop);
  visit("min_scale", o.min_scale);
  visit("max_scale", o.max_scale);
  visit("min_ratio", o.min_ratio);
  visit("max_ratio", o.max_ratio);
  visit("crop_filter", o.crop_filter);
  visit("crop_padding", o.crop_padding);
  visit("reflect_padding", o.reflect_padding);
  visit("flip_probability", o.flip_probability);
  visit("vertical_flip_probability", o.vertical_flip_probability);
  visit("auto_augment", o.auto_augment);
  visit("jitter_brightness", o.jitter_brightness);
  visit("jitter_contrast", o.jitter_contrast);
  visit("jitter_saturation", o.jitter_saturation);
  visit("jitter_hue", o.jitter_hue);
  visit("jitter_probability", o.jitter_probability);
  visit("grey_probability", o.grey_probability);
  visit("blur_probability", o.blur_probability);
  visit("blur_min_radius", o.blur_min_radius);
  visit("blur_max_radius", o.blur_max_radius);
  visit("solarize_probability", o.solarize_probability);
  visit("solarize_threshold", o.solarize_threshold);
  visit("erase_probability", o.erase_probability);
  visit("erase_mode", o.erase_mode);
  visit("erase_min_area", o.erase_min_area);
  visit("erase_max_area", o.erase_max_area);
  visit("erase_min_ratio", o.erase_min_ratio);
  visit("erase_count", o.erase_count);
  visit("repeats", o.repeats);
};

}  // namespace

void check_augment(const AugmentOptions& o) {
  check(o.min_scale > 0 && o.min_scale <= o.max_scale && o.max_scale <= 1, kPlace,
        "scale {} to {} is no range within (0, 1]", o.min_scale, o.max_scale);
  check(o.min_ratio > 0 && o.min_ratio <= o.max_ratio && o.max_ratio <= 100, kPlace,
        "ratio {} to {} is no range within (0, 100]", o.min_ratio, o.max_ratio);
  const auto within = [](const char* name, auto value, auto low, auto high) {
    check(value >= low && value <= high, kPlace, "{} is {}; it must lie between {} and {}", name,
          value, low, high);
  };
  within("crop_padding", o.crop_padding, int64_t{0}, kMaxPadding);
  within("flip_probability", o.flip_probability, 0.0, 1.0);
  within("vertical_flip_probability", o.vertical_flip_probability, 0.0, 1.0);
  within("jitter_brightness", o.jitter_brightness, 0.0, 10.0);
  within("jitter_contrast", o.jitter_contrast, 0.0, 10.0);
  within("jitter_saturation", o.jitter_saturation, 0.0, 10.0);
  within("jitter_hue", o.jitter_hue, 0.0, 0.5);
  within("jitter_probability", o.jitter_probability, 0.0, 1.0);
  within("grey_probability", o.grey_probability, 0.0, 1.0);
  within("blur_probability", o.blur_probability, 0.0, 1.0);
  within("blur_max_radius", o.blur_max_radius, 0.0, kMaxBlurRadius);
  within("blur_min_radius", o.blur_min_radius, 0.0, o.blur_max_radius);
  within("solarize_probability", o.solarize_probability, 0.0, 1.0);
  within("solarize_threshold", o.solarize_threshold, 0.0, 256.0);
  within("erase_probability", o.erase_probability, 0.0, 1.0);
  within("erase_max_area", o.erase_max_area, 0.0, 1.0);
  within("erase_min_area", o.erase_min_area, 0.0, o.erase_max_area);
  within("erase_min_ratio", o.erase_min_ratio, 0.001, 1.0);
  within("erase_count", o.erase_count, int64_t{1}, int64_t{1000});
  erase_mode_of(o.erase_mode);
  if (!o.auto_augment.empty()) AutoAugment{o.auto_augment};
  within("repeats", o.repeats, int64_t{1}, int64_t{1000});
  if (o.crop_filter == "random") return;
  const Filter filter = filter_of(o.crop_filter);
  check(o.auto_augment.empty() || filter == Filter::nearest || filter == Filter::bilinear ||
            filter == Filter::bicubic,
        kPlace, "auto_augment turns pictures by nearest, bilinear or bicubic; crop_filter is {}",
        o.crop_filter);
}

Json to_json(const AugmentOptions& options) {
  return fields_to_json(options, kFields);
}
void from_json(const Json& in, AugmentOptions& options) {
  fields_from_json(options, kFields, in, kPlace);
}
bool set_field(AugmentOptions& options, const std::string& name, const std::string& value) {
  return field_from_text(options, kFields, name, value, kPlace);
}

}  // namespace vitrail
