#include "data/augment.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/error.h"
#include "core/rng.h"
#include "image/augment/color.h"
#include "image/augment/filter.h"

namespace vitrail {
namespace {

Rng stream_for(const AugmentKey& key, std::string_view step) {
  const uint64_t turn = static_cast<uint64_t>(key.repeat) << 32 | static_cast<uint64_t>(key.view);
  const auto words = philox(key.seed, static_cast<uint64_t>(key.epoch), hash_path(step) ^ turn);
  return Rng(uint64_t{words[0]} << 32 | words[1], static_cast<uint64_t>(key.index));
}

struct Box {
  int x = 0, y = 0, width = 0, height = 0;
};

Box random_box(const Image& image, const AugmentOptions& options, Rng& rng) {
  const double area = static_cast<double>(image.width) * image.height;
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double target = area * rng.uniform(options.min_scale, options.max_scale);
    const double ratio =
        std::exp(rng.uniform(std::log(options.min_ratio), std::log(options.max_ratio)));
    const int width = static_cast<int>(std::nearbyint(std::sqrt(target * ratio)));
    const int height = static_cast<int>(std::nearbyint(std::sqrt(target / ratio)));
    if (width < 1 || height < 1 || width > image.width || height > image.height) continue;
    return {static_cast<int>(rng.below(image.width - width + 1)),
            static_cast<int>(rng.below(image.height - height + 1)), width, height};
  }
  // The largest centred box with an allowed ratio.
  const double ratio = static_cast<double>(image.width) / image.height;
  int width = image.width, height = image.height;
  if (ratio < options.min_ratio)
    height = static_cast<int>(std::nearbyint(width / options.min_ratio));
  if (ratio > options.max_ratio)
    width = static_cast<int>(std::nearbyint(height * options.max_ratio));
  width = std::clamp(width, 1, image.width);
  height = std::clamp(height, 1, image.height);
  return {(image.width - width) / 2, (image.height - height) / 2, width, height};
}

// One draw where the filter is left to chance.
Filter filter_for(const AugmentOptions& options, Rng& rng) {
  if (options.crop_filter != "random") return filter_of(options.crop_filter);
  return rng.below(2) == 0 ? Filter::bilinear : Filter::bicubic;
}

Image cut_out(const Image& image, const Box& box) {
  if (box.width == image.width && box.height == image.height) return image;
  Image out(box.width, box.height, image.channels);
  for (int y = 0; y < box.height; ++y)
    std::copy_n(image.row(box.y + y) + int64_t{box.x} * image.channels, out.row_bytes(),
                out.row(y));
  return out;
}

}  // namespace

// As torchvision's resized_crop, the box is cut out first: its edge does not see what is beyond.
Image random_resized_crop(const Image& image, const AugmentOptions& options, const AugmentKey& key,
                          int width, int height) {
  Rng rng = stream_for(key, "random resized crop");
  const Box box = random_box(image, options, rng);
  return resize(cut_out(image, box), width, height, filter_for(options, rng));
}

void shift_and_flip(Image& image, const AugmentOptions& options, const AugmentKey& key) {
  Rng rng = stream_for(key, "shift and flip");
  if (const int64_t pad = options.crop_padding; pad > 0) {
    const int dx = static_cast<int>(rng.below(2 * pad + 1) - pad);
    const int dy = static_cast<int>(rng.below(2 * pad + 1) - pad);
    if (dx != 0 || dy != 0) image = shifted(image, dx, dy, options.reflect_padding);
  }
  if (rng.uniform() < options.flip_probability) flip_horizontally(image);
  if (rng.uniform() < options.vertical_flip_probability) flip_vertically(image);
}

void jitter_colors(Image& image, const AugmentOptions& options, const AugmentKey& key) {
  Rng rng = stream_for(key, "jitter");
  const auto factor = [&](double strength) {
    return rng.uniform(std::max(0.0, 1 - strength), 1 + strength);
  };
  if (rng.uniform() < options.jitter_probability) {
    std::array<int, 4> order{0, 1, 2, 3};
    for (int i = 3; i > 0; --i)
      std::swap(order[static_cast<size_t>(i)], order[static_cast<size_t>(rng.below(i + 1))]);
    for (const int which : order) {
      if (which == 0 && options.jitter_brightness > 0)
        adjust_brightness(image, factor(options.jitter_brightness));
      if (which == 1 && options.jitter_contrast > 0)
        adjust_contrast(image, factor(options.jitter_contrast));
      if (which == 2 && options.jitter_saturation > 0)
        adjust_saturation(image, factor(options.jitter_saturation));
      if (which == 3 && options.jitter_hue > 0)
        adjust_hue(image, rng.uniform(-options.jitter_hue, options.jitter_hue));
    }
  }
  if (rng.uniform() < options.grey_probability) make_grey(image);
  if (rng.uniform() < options.blur_probability)
    gaussian_blur(image, rng.uniform(options.blur_min_radius, options.blur_max_radius));
  if (rng.uniform() < options.solarize_probability) solarize(image, options.solarize_threshold);
}

void erase_boxes(const FloatPicture& picture, const AugmentOptions& options,
                 const AugmentKey& key) {
  if (options.erase_probability == 0) return;
  Rng rng = stream_for(key, "erase");
  if (rng.uniform() >= options.erase_probability) return;
  const EraseMode mode = erase_mode_of(options.erase_mode);
  const double area = static_cast<double>(picture.height) * picture.width;
  const double widest = std::log(1 / options.erase_min_ratio);
  const int64_t count = 1 + rng.below(options.erase_count);
  for (int64_t i = 0; i < count; ++i) {
    for (int attempt = 0; attempt < 10; ++attempt) {
      const double share = rng.uniform(options.erase_min_area, options.erase_max_area);
      const double ratio = std::exp(rng.uniform(-widest, widest));
      const auto sides = erase_sides(share * area / static_cast<double>(count), ratio,
                                     picture.height, picture.width);
      if (!sides) continue;
      const int y = static_cast<int>(rng.below(picture.height - sides->height + 1));
      const int x = static_cast<int>(rng.below(picture.width - sides->width + 1));
      erase(picture, {x, y, x + sides->width, y + sides->height}, mode, rng);
      break;
    }
  }
}

Augmenter::Augmenter(const AugmentOptions& options, const Preprocess& preprocess, PictureSize size)
    : options_(options), preprocess_(preprocess), after_(preprocess), size_(size) {
  const AugmentOptions& o = options;
  after_.resize = ResizeMode::none;
  after_.crop = CropRule::none;
  if (!o.auto_augment.empty()) policy_.emplace(o.auto_augment);
  for (size_t c = 0; c < 3; ++c)
    fill_[c] =
        static_cast<uint8_t>(std::clamp(std::nearbyint(255 * preprocess.mean[c]), 0.0, 255.0));
  changes_bytes_ = o.random_resized_crop || o.crop_padding > 0 || o.flip_probability > 0 ||
                   o.vertical_flip_probability > 0 || policy_ || o.jitter_brightness > 0 ||
                   o.jitter_contrast > 0 || o.jitter_saturation > 0 || o.jitter_hue > 0 ||
                   o.grey_probability > 0 || o.blur_probability > 0 || o.solarize_probability > 0;
}

Image Augmenter::changed(const Image& image, const AugmentKey& key) const {
  Image out = options_.random_resized_crop
                  ? random_resized_crop(image, options_, key, size_.width, size_.height)
                  : apply_geometry(image, preprocess_);
  shift_and_flip(out, options_, key);
  if (policy_) {
    Rng rng = stream_for(key, "auto augment");
    policy_->apply(out, rng, [&] { return AffineStyle{filter_for(options_, rng), fill_}; });
  }
  jitter_colors(out, options_, key);
  return out;
}

void Augmenter::write(const Image& image, const AugmentKey& key, float* out) const {
  if (changes_bytes_)
    vitrail::apply(changed(image, key), after_, out);
  else
    vitrail::apply(image, preprocess_, out);
  erase_boxes({out, preprocess_.channels, size_.height, size_.width}, options_, key);
}

}  // namespace vitrail
