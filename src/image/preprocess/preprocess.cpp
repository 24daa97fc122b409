#include "image/preprocess/preprocess.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "image/preprocess/preprocess_plan.h"

namespace vitrail {
namespace {

constexpr const char* kPlace = "preprocess";

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
  check(!p.bgr || p.channels == 3, kPlace, "channel_order bgr goes with 3 channels, not {}",
        p.channels);
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
  return result_of(preprocess_plan(width, height, preprocess), width, height);
}

Preprocess at_size(const Preprocess& preprocess, PictureSize size) {
  const PictureSize now = fixed_output_size(preprocess);
  if (now == size) return preprocess;
  check(now.height > 0, kPlace,
        "this preprocessing gives each picture a size of its own, so none can be asked for");
  Preprocess p = preprocess;
  const auto scaled = [](int length, int from, int to) {
    return static_cast<int>(
        std::min<int64_t>(static_cast<int64_t>(length) * to / from, kMaxPreprocessSide));
  };
  const PictureSize each = {scaled(p.resize_to.height, now.height, size.height),
                            scaled(p.resize_to.width, now.width, size.width)};
  if (p.resize == ResizeMode::shortest_edge && p.crop != CropRule::none) {
    const int side = std::max(scaled(p.resize_to.height, now.height, size.height),
                              scaled(p.resize_to.height, now.width, size.width));
    p.resize_to = {side, side};
  } else if (p.resize == ResizeMode::longest_edge && p.crop != CropRule::none) {
    const int side = std::min(scaled(p.resize_to.height, now.height, size.height),
                              scaled(p.resize_to.height, now.width, size.width));
    p.resize_to = {side, side};
  } else {
    p.resize_to = each;
  }
  if (p.crop != CropRule::none) p.crop_to = size;
  check_preprocess(p);
  return p;
}

PictureSize fixed_output_size(const Preprocess& preprocess) {
  if (preprocess.crop != CropRule::none) return preprocess.crop_to;
  if (preprocess.resize == ResizeMode::squash) return preprocess.resize_to;
  return {0, 0};
}

}  // namespace vitrail
