#include "image/preprocess.h"

#include <cmath>

#include "core/error.h"
#include "image/preprocess_plan.h"

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

PictureSize fixed_output_size(const Preprocess& preprocess) {
  if (preprocess.crop != CropRule::none) return preprocess.crop_to;
  if (preprocess.resize == ResizeMode::squash) return preprocess.resize_to;
  return {0, 0};
}

}  // namespace vitrail
