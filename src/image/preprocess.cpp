#include "image/preprocess.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/error.h"

namespace vitrail {
namespace {

constexpr const char* kPlace = "preprocess";

// Where the crop begins in the resized picture; negative: that much padding comes before it.
int64_t crop_offset(int64_t size, int64_t crop, CropRule rule) {
  const int64_t spare = size - crop;
  if (rule == CropRule::huggingface) return spare >= 0 ? spare / 2 : -((1 - spare) / 2);
  if (spare < 0) return -(-spare / 2);
  const int64_t half = spare / 2;
  return spare % 2 != 0 && half % 2 != 0 ? half + 1 : half;  // a half rounds to the even side
}

struct Plan {
  int resized_width, resized_height;
  int width, height;
  int left, top;  // of the output within the resized picture
};

struct Size {
  double width, height;
};

Size resized_size(int width, int height, const Preprocess& p) {
  const double target = p.resize_to.height;
  const double w = width, h = height;
  switch (p.resize) {
    case ResizeMode::none:
      return {w, h};
    case ResizeMode::squash:
      return {static_cast<double>(p.resize_to.width), target};
    case ResizeMode::shortest_edge:
      // The products are exact in a double; the quotient is Python's.
      return width <= height ? Size{target, std::trunc(target * h / w)}
                             : Size{std::trunc(target * w / h), target};
    case ResizeMode::longest_edge: {
      const double scale = target / std::max(w, h);
      return {std::trunc(w * scale + 0.5), std::trunc(h * scale + 0.5)};
    }
    case ResizeMode::cover:
    case ResizeMode::fit: {
      const double ratio_h = h / target;
      const double ratio_w = w / p.resize_to.width;
      const double ratio =
          p.resize == ResizeMode::cover ? std::min(ratio_h, ratio_w) : std::max(ratio_h, ratio_w);
      return {std::nearbyint(w / ratio), std::nearbyint(h / ratio)};
    }
  }
  fail(kPlace, "unknown resize mode {}", static_cast<int>(p.resize));
}

Plan plan_for(int width, int height, const Preprocess& p) {
  check(width > 0 && height > 0, kPlace, "a picture of {}x{}, expected at least 1x1", width,
        height);
  const Size size = resized_size(width, height, p);
  check(size.width >= 1 && size.height >= 1 &&
            size.width * size.height <= static_cast<double>(kMaxPicturePixels),
        kPlace, "a picture of {}x{} would be resized to {:.0f}x{:.0f}, expected 1 to {} pixels",
        width, height, size.width, size.height, kMaxPicturePixels);
  Plan plan{};
  plan.resized_width = plan.width = static_cast<int>(size.width);
  plan.resized_height = plan.height = static_cast<int>(size.height);
  if (p.crop != CropRule::none) {
    plan.width = p.crop_to.width;
    plan.height = p.crop_to.height;
    plan.left = static_cast<int>(crop_offset(plan.resized_width, plan.width, p.crop));
    plan.top = static_cast<int>(crop_offset(plan.resized_height, plan.height, p.crop));
  }
  return plan;
}

PreprocessResult result_of(const Plan& plan, int width, int height) {
  const double step_x = static_cast<double>(width) / plan.resized_width;
  const double step_y = static_cast<double>(height) / plan.resized_height;
  return {plan.height,
          plan.width,
          plan.resized_height,
          plan.resized_width,
          {plan.left * step_x, plan.top * step_y, (plan.left + plan.width) * step_x,
           (plan.top + plan.height) * step_y}};
}

Image in_channels(const Image& image, int channels) {
  return channels == 1 ? to_grey(image) : to_rgb(image);
}

// The part of an output row that the picture covers.
struct Span {
  int begin, end;
};
Span covered(int offset, int out_size, int size) {
  return {std::clamp(-offset, 0, out_size), std::clamp(size - offset, 0, out_size)};
}

Image cropped(const Image& image, const Plan& plan, const std::array<uint8_t, 3>& fill) {
  if (plan.left == 0 && plan.top == 0 && plan.width == image.width && plan.height == image.height)
    return image;
  const int channels = image.channels;
  Image out(plan.width, plan.height, channels);
  const Span columns = covered(plan.left, plan.width, image.width);
  const Span rows = covered(plan.top, plan.height, image.height);
  for (int y = 0; y < out.height; ++y) {
    uint8_t* to = out.row(y);
    for (size_t i = 0; i < out.row_bytes(); ++i) to[i] = fill[i % static_cast<size_t>(channels)];
    if (y < rows.begin || y >= rows.end || columns.begin >= columns.end) continue;
    const uint8_t* from = image.row(y + plan.top) + int64_t{plan.left + columns.begin} * channels;
    std::copy_n(from, int64_t{columns.end - columns.begin} * channels,
                to + int64_t{columns.begin} * channels);
  }
  return out;
}

float rescaled(uint8_t byte, const Preprocess& p) {
  if (!p.do_rescale) return byte;
  if (p.arithmetic == Arithmetic::huggingface)
    return static_cast<float>(static_cast<double>(byte) * p.rescale_factor);
  // torch's to_tensor divides; another factor than 1/255 is a product.
  if (p.rescale_factor == 1.0 / 255.0) return static_cast<float>(byte) / 255.0f;
  return static_cast<float>(byte) * static_cast<float>(p.rescale_factor);
}

float normalized(float value, const Preprocess& p, int channel) {
  if (!p.do_normalize) return value;
  const auto index = static_cast<size_t>(channel);
  return (value - static_cast<float>(p.mean[index])) / static_cast<float>(p.std[index]);
}

// A byte has 256 values, so every step of the arithmetic is done 256 times a channel.
void write_bytes(const Image& image, const Preprocess& p, float* out) {
  const size_t pixels = static_cast<size_t>(image.width) * image.height;
  for (int channel = 0; channel < p.channels; ++channel) {
    std::array<float, 256> table;
    for (int byte = 0; byte < 256; ++byte)
      table[static_cast<size_t>(byte)] =
          normalized(rescaled(static_cast<uint8_t>(byte), p), p, channel);
    const uint8_t* from = image.pixels.data() + channel;
    float* to = out + static_cast<size_t>(channel) * pixels;
    for (size_t i = 0; i < pixels; ++i, from += p.channels) to[i] = table[*from];
  }
}

// Rescaled to floats first, then resized (DINOv3).
void write_floats(const Image& image, const Preprocess& p, const Plan& plan, float* out) {
  const size_t source_pixels = static_cast<size_t>(image.width) * image.height;
  std::vector<float> plane(source_pixels);
  std::vector<float> resized(static_cast<size_t>(plan.resized_width) * plan.resized_height);
  const Span columns = covered(plan.left, plan.width, plan.resized_width);
  const Span rows = covered(plan.top, plan.height, plan.resized_height);
  for (int channel = 0; channel < p.channels; ++channel) {
    for (size_t i = 0; i < source_pixels; ++i)
      plane[i] = rescaled(image.pixels[i * static_cast<size_t>(p.channels) + channel], p);
    const bool same = plan.resized_width == image.width && plan.resized_height == image.height;
    if (same)
      resized = plane;
    else
      resize_float({plane.data(), image.width, image.height}, plan.resized_width,
                   plan.resized_height, p.filter, resized.data());
    const float padding = normalized(rescaled(p.fill[static_cast<size_t>(channel)], p), p, channel);
    for (int y = 0; y < plan.height; ++y) {
      float* to = out + (static_cast<size_t>(channel) * plan.height + y) * plan.width;
      std::fill_n(to, plan.width, padding);
      if (y < rows.begin || y >= rows.end) continue;
      const float* from =
          resized.data() + static_cast<size_t>(y + plan.top) * plan.resized_width + plan.left;
      for (int x = columns.begin; x < columns.end; ++x) to[x] = normalized(from[x], p, channel);
    }
  }
}

void check_size(const PictureSize& size, const char* field) {
  check(size.height >= 1 && size.width >= 1 && size.height <= kMaxPreprocessSide &&
            size.width <= kMaxPreprocessSide,
        kPlace, "{} is {}x{}, expected 1 to {} a side", field, size.height, size.width,
        kMaxPreprocessSide);
}

}  // namespace

DecodeOptions Preprocess::decode_options() const {
  DecodeOptions options;
  options.exif = exif;
  options.color = channels == 1 ? ColorMode::grey : ColorMode::rgb;
  return options;
}

void check_preprocess(const Preprocess& p) {
  check(p.channels == 1 || p.channels == 3, kPlace, "channels is {}, expected 1 or 3", p.channels);
  if (p.resize != ResizeMode::none) check_size(p.resize_to, "resize size");
  if (p.crop != CropRule::none) check_size(p.crop_to, "crop size");
  if (p.do_rescale)
    check(std::isfinite(p.rescale_factor) && p.rescale_factor > 0, kPlace,
          "rescale_factor is {}, expected a positive number", p.rescale_factor);
  if (p.rescale_first)
    check(p.do_rescale && (p.resize == ResizeMode::none || p.filter == Filter::bilinear ||
                           p.filter == Filter::bicubic),
          kPlace, "rescaling before the resize needs a factor and filter bilinear or bicubic");
  if (!p.do_normalize) return;
  for (size_t channel = 0; channel < static_cast<size_t>(p.channels); ++channel) {
    check(std::isfinite(p.mean[channel]), kPlace, "mean holds {}, expected finite numbers",
          p.mean[channel]);
    check(std::isfinite(p.std[channel]) && static_cast<float>(p.std[channel]) != 0, kPlace,
          "std holds {}, expected finite numbers other than 0", p.std[channel]);
  }
}

PreprocessResult preprocess_geometry(int width, int height, const Preprocess& preprocess) {
  return result_of(plan_for(width, height, preprocess), width, height);
}

PictureSize fixed_output_size(const Preprocess& preprocess) {
  if (preprocess.crop != CropRule::none) return preprocess.crop_to;
  if (preprocess.resize == ResizeMode::squash) return preprocess.resize_to;
  return {0, 0};
}

Image apply_geometry(const Image& image, const Preprocess& preprocess) {
  const Plan plan = plan_for(image.width, image.height, preprocess);
  const Image colored = in_channels(image, preprocess.channels);
  return cropped(resize(colored, plan.resized_width, plan.resized_height, preprocess.filter,
                        preprocess.passes),
                 plan, preprocess.fill);
}

PreprocessResult apply(const Image& image, const Preprocess& preprocess, float* out) {
  const Plan plan = plan_for(image.width, image.height, preprocess);
  if (preprocess.rescale_first)
    write_floats(in_channels(image, preprocess.channels), preprocess, plan, out);
  else
    write_bytes(apply_geometry(image, preprocess), preprocess, out);
  return result_of(plan, image.width, image.height);
}

}  // namespace vitrail
