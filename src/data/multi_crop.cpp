#include "data/multi_crop.h"

#include "core/error.h"

namespace vitrail {

std::vector<ViewOptions> multi_crop(const MultiCropOptions& o) {
  check(o.local_crops >= 0 && o.local_crops <= 64, "multi-crop", "{} local crops, expected 0 to 64",
        o.local_crops);
  AugmentOptions common;
  common.random_resized_crop = true;
  common.flip_probability = 0.5;
  common.jitter_brightness = common.jitter_contrast = 0.4 * o.jitter;
  common.jitter_saturation = 0.2 * o.jitter;
  common.jitter_hue = 0.1 * o.jitter;
  common.jitter_probability = 0.8;
  common.grey_probability = o.grey_probability;
  common.blur_min_radius = o.blur_min_radius;
  common.blur_max_radius = o.blur_max_radius;

  AugmentOptions first = common;
  first.min_scale = o.global_min_scale;
  first.blur_probability = 1;
  AugmentOptions second = first;
  second.blur_probability = 0.1;
  second.solarize_probability = 0.2;
  AugmentOptions local = common;
  local.min_scale = o.local_min_scale;
  local.max_scale = o.local_max_scale;
  local.blur_probability = 0.5;
  for (const AugmentOptions* options : {&first, &second, &local}) check_augment(*options);

  std::vector<ViewOptions> views{{o.global_size, first}, {o.global_size, second}};
  views.resize(2 + static_cast<size_t>(o.local_crops), {o.local_size, local});
  return views;
}

}  // namespace vitrail
