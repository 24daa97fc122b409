#include "data/augment.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/rng.h"
#include "formats/option_fields.h"

namespace vitrail {
namespace {

constexpr const char* kPlace = "augment";
constexpr int64_t kMaxPadding = 4096;

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
  visit("repeats", o.repeats);
};

Rng stream_for(const AugmentKey& key, std::string_view step) {
  const uint64_t turn = static_cast<uint64_t>(key.repeat) << 32 | static_cast<uint64_t>(key.view);
  const auto words = philox(key.seed, static_cast<uint64_t>(key.epoch), hash_path(step) ^ turn);
  return Rng(uint64_t{words[0]} << 32 | words[1], static_cast<uint64_t>(key.index));
}

// Where a coordinate beyond the edge is read: mirrored without repeating the edge, as often as it
// takes.
int reflected(int position, int size) {
  if (size == 1) return 0;
  const int period = 2 * (size - 1);
  position = ((position % period) + period) % period;
  return position < size ? position : period - position;
}

Image shifted(const Image& image, int dx, int dy, bool reflect) {
  Image out(image.width, image.height, image.channels);
  const auto channels = static_cast<size_t>(image.channels);
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      int from_x = x + dx, from_y = y + dy;
      const bool inside =
          from_x >= 0 && from_x < image.width && from_y >= 0 && from_y < image.height;
      if (!inside && !reflect) continue;
      from_x = reflected(from_x, image.width);
      from_y = reflected(from_y, image.height);
      std::copy_n(image.row(from_y) + from_x * channels, channels, out.row(y) + x * channels);
    }
  }
  return out;
}

void flip(Image& image) {
  for (int y = 0; y < image.height; ++y) {
    uint8_t* row = image.row(y);
    for (int left = 0, right = image.width - 1; left < right; ++left, --right) {
      std::swap_ranges(row + left * image.channels, row + (left + 1) * image.channels,
                       row + right * image.channels);
    }
  }
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
  within("repeats", o.repeats, int64_t{1}, int64_t{1000});
  filter_of(o.crop_filter);
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

Image random_resized_crop(const Image& image, const AugmentOptions& options, const AugmentKey& key,
                          int width, int height) {
  Rng rng = stream_for(key, "random resized crop");
  const Box box = random_box(image, options, rng);
  return resize(image, width, height, filter_of(options.crop_filter),
                {static_cast<double>(box.x), static_cast<double>(box.y),
                 static_cast<double>(box.x + box.width), static_cast<double>(box.y + box.height)});
}

void shift_and_flip(Image& image, const AugmentOptions& options, const AugmentKey& key) {
  Rng rng = stream_for(key, "shift and flip");
  if (const int64_t pad = options.crop_padding; pad > 0) {
    const int dx = static_cast<int>(rng.below(2 * pad + 1) - pad);
    const int dy = static_cast<int>(rng.below(2 * pad + 1) - pad);
    if (dx != 0 || dy != 0) image = shifted(image, dx, dy, options.reflect_padding);
  }
  if (rng.uniform() < options.flip_probability) flip(image);
}

}  // namespace vitrail
