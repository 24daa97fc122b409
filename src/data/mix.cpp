#include "data/mix.h"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

#include "core/error.h"
#include "core/rng.h"
#include "formats/option_fields.h"

namespace vitrail {
namespace {

constexpr const char* kMix = "mix";

constexpr auto kMixFields = [](auto& o, auto visit) {
  visit("mixup_alpha", o.mixup_alpha);
  visit("cutmix_alpha", o.cutmix_alpha);
  visit("cutmix_min", o.cutmix_min);
  visit("cutmix_max", o.cutmix_max);
  visit("mix_probability", o.mix_probability);
  visit("mix_switch_probability", o.mix_switch_probability);
  visit("mix_mode", o.mix_mode);
  visit("mixup_off_epoch", o.mixup_off_epoch);
};

// Marsaglia and Tsang, "A simple method for generating gamma variables" (2000).
double gamma_variate(Rng& rng, double shape) {
  if (shape < 1) {
    // The boost stays away from 0, whose power would be 0 for every small shape.
    const double boost = 1 - rng.uniform();
    return gamma_variate(rng, shape + 1) * std::pow(boost, 1 / shape);
  }
  const double d = shape - 1.0 / 3.0, c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = rng.normal();
    const double v = (1 + c * x) * (1 + c * x) * (1 + c * x);
    if (v <= 0) continue;
    if (std::log(1 - rng.uniform()) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
  }
}

double beta_variate(Rng& rng, double alpha) {
  const double a = gamma_variate(rng, alpha), b = gamma_variate(rng, alpha);
  return a + b > 0 ? a / (a + b) : 0.5;
}

double kept_share(const PixelWindow& box, int height, int width) {
  return 1.0 - static_cast<double>(box.y1 - box.y0) * (box.x1 - box.x0) /
                   (static_cast<double>(height) * width);
}

// A side of the box between two shares of the picture's, and where it begins.
std::pair<int, int> side_between(const MixOptions& o, Rng& rng, int size) {
  const int low = static_cast<int>(size * o.cutmix_min);
  const int high = std::max(low + 1, static_cast<int>(size * o.cutmix_max));
  const int side = low + static_cast<int>(rng.below(high - low));
  const int begin = static_cast<int>(rng.below(size - side + 1));
  return {begin, begin + side};
}

MixDraw draw_one(const MixOptions& o, Rng& rng, int height, int width) {
  if (rng.uniform() >= o.mix_probability) return {};
  const bool cut = o.cutmix_alpha > 0 || o.cutmix_max > 0;
  MixDraw draw;
  draw.cutmix = cut && (o.mixup_alpha <= 0 || rng.uniform() < o.mix_switch_probability);
  if (!draw.cutmix) {
    draw.lambda = beta_variate(rng, o.mixup_alpha);
  } else if (o.cutmix_max > 0) {
    std::tie(draw.box.y0, draw.box.y1) = side_between(o, rng, height);
    std::tie(draw.box.x0, draw.box.x1) = side_between(o, rng, width);
    draw.lambda = kept_share(draw.box, height, width);
  } else {
    const double lambda = beta_variate(rng, o.cutmix_alpha);
    const int y = static_cast<int>(rng.below(height)), x = static_cast<int>(rng.below(width));
    draw = cutmix_at(lambda, x, y, height, width);
  }
  return draw;
}

// What `to` [C, H, W] becomes with its partner's original.
void mix_into(float* to, const float* partner, const MixDraw& draw, const Shape& shape) {
  const int64_t planes = shape[1], height = shape[2], width = shape[3];
  if (!draw.cutmix) {
    const auto keep = static_cast<float>(draw.lambda), take = static_cast<float>(1 - draw.lambda);
    for (int64_t i = 0; i < planes * height * width; ++i) to[i] = to[i] * keep + partner[i] * take;
    return;
  }
  for (int64_t c = 0; c < planes; ++c) {
    for (int64_t y = draw.box.y0; y < draw.box.y1; ++y) {
      const int64_t row = (c * height + y) * width;
      std::copy(partner + row + draw.box.x0, partner + row + draw.box.x1, to + row + draw.box.x0);
    }
  }
}

// Targets of several classes a picture.
Tensor mix_rows(const Tensor& labels, std::span<const MixDraw> draws) {
  const int64_t count = labels.size(0), classes = labels.size(1);
  Tensor targets = Tensor::empty({count, classes});
  for (int64_t i = 0; i < count; ++i) {
    const auto keep = static_cast<float>(draws[static_cast<size_t>(i)].lambda);
    const int64_t* own = labels.data<int64_t>() + i * classes;
    const int64_t* other = labels.data<int64_t>() + (count - 1 - i) * classes;
    for (int64_t c = 0; c < classes; ++c)
      targets.f32()[i * classes + c] =
          keep * static_cast<float>(own[c]) + (1 - keep) * static_cast<float>(other[c]);
  }
  return targets;
}

}  // namespace

void check_mix(const MixOptions& o) {
  const auto within = [](const char* name, double value, double low, double high) {
    check(value >= low && value <= high, kMix, "{} is {}; it must lie between {} and {}", name,
          value, low, high);
  };
  within("mixup_alpha", o.mixup_alpha, 0, 1000);
  within("cutmix_alpha", o.cutmix_alpha, 0, 1000);
  within("cutmix_max", o.cutmix_max, 0, 1);
  within("cutmix_min", o.cutmix_min, 0, o.cutmix_max);
  within("mix_probability", o.mix_probability, 0, 1);
  within("mix_switch_probability", o.mix_switch_probability, 0, 1);
  within("mixup_off_epoch", static_cast<double>(o.mixup_off_epoch), 0, 1e9);
  within("label_smoothing", o.label_smoothing, 0, 0.999999);
  check(o.mix_mode == "batch" || o.mix_mode == "pair" || o.mix_mode == "elem", kMix,
        "mix_mode is '{}'; known are batch, pair, elem", o.mix_mode);
}

Json to_json(const MixOptions& options) {
  return fields_to_json(options, kMixFields);
}
void from_json(const Json& in, MixOptions& options) {
  fields_from_json(options, kMixFields, in, kMix);
}
bool set_field(MixOptions& options, const std::string& name, const std::string& value) {
  return field_from_text(options, kMixFields, name, value, kMix);
}

MixDraw cutmix_at(double lambda, int center_x, int center_y, int height, int width) {
  const double ratio = std::sqrt(1 - lambda);
  const int cut_height = static_cast<int>(height * ratio);
  const int cut_width = static_cast<int>(width * ratio);
  MixDraw draw;
  draw.cutmix = true;
  draw.box = {std::clamp(center_x - cut_width / 2, 0, width),
              std::clamp(center_y - cut_height / 2, 0, height),
              std::clamp(center_x + (cut_width + 1) / 2, 0, width),
              std::clamp(center_y + (cut_height + 1) / 2, 0, height)};
  draw.lambda = kept_share(draw.box, height, width);
  return draw;
}

std::vector<MixDraw> draw_mix(const MixOptions& options, const MixKey& key, int64_t count,
                              int height, int width) {
  std::vector<MixDraw> draws(static_cast<size_t>(count));
  if (!options.enabled() || (options.mixup_off_epoch > 0 && key.epoch >= options.mixup_off_epoch))
    return draws;
  const auto words = philox(key.seed, static_cast<uint64_t>(key.epoch), hash_path("mix"));
  Rng rng(uint64_t{words[0]} << 32 | words[1], static_cast<uint64_t>(key.batch));
  if (options.mix_mode == "batch") {
    std::fill(draws.begin(), draws.end(), draw_one(options, rng, height, width));
  } else if (options.mix_mode == "pair") {
    for (size_t i = 0; i < draws.size() / 2; ++i)
      draws[i] = draws[draws.size() - 1 - i] = draw_one(options, rng, height, width);
  } else {
    for (MixDraw& draw : draws) draw = draw_one(options, rng, height, width);
  }
  return draws;
}

void mix_images(const Tensor& images, std::span<const MixDraw> draws) {
  const int64_t count = images.size(0);
  if (count == 0) return;
  const int64_t size = images.numel() / count;
  Tensor original;  // of the pair's first picture
  for (int64_t i = 0; 2 * i < count; ++i) {
    const int64_t j = count - 1 - i;
    const MixDraw &first = draws[static_cast<size_t>(i)], &second = draws[static_cast<size_t>(j)];
    if (first.lambda == 1 && second.lambda == 1) continue;
    if (!original.defined()) original = Tensor::empty({size});
    float *to_first = images.f32() + i * size, *to_second = images.f32() + j * size;
    std::copy_n(to_first, size, original.f32());
    if (i != j && first.lambda != 1) mix_into(to_first, to_second, first, images.shape());
    if (i != j && second.lambda != 1) mix_into(to_second, original.f32(), second, images.shape());
  }
}

Tensor mix_targets(const Tensor& labels, int64_t classes, double label_smoothing,
                   std::span<const MixDraw> draws) {
  if (labels.rank() == 2) return mix_rows(labels, draws);
  const int64_t count = labels.size(0);
  const double smooth = label_smoothing / static_cast<double>(classes);
  const auto off = static_cast<float>(smooth),
             on = static_cast<float>(1 - label_smoothing + smooth);
  Tensor targets = Tensor::empty({count, classes});
  const int64_t* label = labels.data<int64_t>();
  for (int64_t i = 0; i < count; ++i) {
    const int64_t own = label[i], other = label[count - 1 - i];
    const double lambda = draws[static_cast<size_t>(i)].lambda;
    const auto keep = static_cast<float>(lambda), take = static_cast<float>(1 - lambda);
    float* row = targets.f32() + i * classes;
    std::fill_n(row, classes, off * keep + off * take);
    row[own] = on * keep + (own == other ? on : off) * take;
    if (own != other) row[other] = off * keep + on * take;
  }
  return targets;
}

}  // namespace vitrail
