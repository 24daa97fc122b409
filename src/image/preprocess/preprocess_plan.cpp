#include "image/preprocess/preprocess_plan.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace vitrail {
namespace {

constexpr const char* kPlan = "preprocess";

// Where the crop begins in the resized picture; negative: that much padding comes before it.
int64_t crop_offset(int64_t size, int64_t crop, CropRule rule) {
  if (rule == CropRule::corner) return 0;
  const int64_t spare = size - crop;
  if (rule == CropRule::huggingface) return spare >= 0 ? spare / 2 : -((1 - spare) / 2);
  if (spare < 0) return -(-spare / 2);
  const int64_t half = spare / 2;
  return spare % 2 != 0 && half % 2 != 0 ? half + 1 : half;  // a half rounds to the even side
}

struct Size {
  double width, height;
};

// As transformers' get_image_size_for_max_num_patches: the largest scale that it finds by halving,
// in floating point as there.
Size size_in_patches(int width, int height, int patch, int most) {
  constexpr double kStep = 1e-5, kLargest = 100;
  const auto scaled = [patch](double scale, int side) {
    return std::max<double>(patch, std::ceil(side * scale / patch) * patch);
  };
  double low = kStep / 10, high = kLargest;
  while (high - low >= kStep) {
    const double scale = (low + high) / 2;
    const double patches = scaled(scale, height) / patch * (scaled(scale, width) / patch);
    (patches <= most ? low : high) = scale;
  }
  return {scaled(low, width), scaled(low, height)};
}

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
    case ResizeMode::patches:
      return size_in_patches(width, height, p.resize_to.height, p.resize_to.width);
    case ResizeMode::cover:
    case ResizeMode::fit: {
      const double ratio_h = h / target;
      const double ratio_w = w / p.resize_to.width;
      const double ratio =
          p.resize == ResizeMode::cover ? std::min(ratio_h, ratio_w) : std::max(ratio_h, ratio_w);
      return {std::nearbyint(w / ratio), std::nearbyint(h / ratio)};
    }
  }
  fail(kPlan, "unknown resize mode {}", static_cast<int>(p.resize));
}

}  // namespace

PreprocessPlan preprocess_plan(int width, int height, const Preprocess& p) {
  check(width > 0 && height > 0, kPlan, "a picture of {}x{}, expected at least 1x1", width, height);
  const Size size = resized_size(width, height, p);
  check(size.width >= 1 && size.height >= 1 &&
            size.width * size.height <= static_cast<double>(kMaxPicturePixels),
        kPlan, "a picture of {}x{} would be resized to {:.0f}x{:.0f}, expected 1 to {} pixels",
        width, height, size.width, size.height, kMaxPicturePixels);
  PreprocessPlan plan{};
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

PreprocessResult result_of(const PreprocessPlan& plan, int width, int height) {
  const double step_x = static_cast<double>(width) / plan.resized_width;
  const double step_y = static_cast<double>(height) / plan.resized_height;
  return {plan.height,
          plan.width,
          plan.resized_height,
          plan.resized_width,
          {plan.left * step_x, plan.top * step_y, (plan.left + plan.width) * step_x,
           (plan.top + plan.height) * step_y}};
}

}  // namespace vitrail
