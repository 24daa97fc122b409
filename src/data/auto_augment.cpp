#include "data/auto_augment.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <iterator>

#include "core/error.h"
#include "image/augment/color.h"
#include "image/augment/filter.h"

namespace vitrail {
namespace {

constexpr const char* kAugment = "augment";

using Style = AffineStyle;

// timm's table: how a level becomes the operation's argument. `sign` is 1 or -1.
struct TimmOp {
  const char* name;
  bool moves_pixels;
  void (*apply)(Image& image, double level, double sign, const Style& style);
};

double share(double level) {
  return level / 10;
}
double enhance(double level) {
  return share(level) * 1.8 + 0.1;
}
double enhance_increasing(double level, double sign) {
  return std::max(0.1, 1 + sign * share(level) * 0.9);
}
double between(double level, double low, double high) {
  return std::clamp(low + (high - low) * share(level), low, high);
}
int posterize_bits(double level) {
  return static_cast<int>(share(level) * 4);
}
int solarize_level(double level) {
  return std::min(256, static_cast<int>(share(level) * 256));
}

using I = Image&;
using S = const Style&;
constexpr TimmOp kTimmOps[] = {
    {"AutoContrast", false, [](I i, double, double, S) { auto_contrast(i); }},
    {"Equalize", false, [](I i, double, double, S) { equalize(i); }},
    {"Invert", false, [](I i, double, double, S) { invert(i); }},
    {"Rotate", true, [](I i, double l, double s, S t) { i = rotated(i, s * share(l) * 30, t); }},
    {"Posterize", false, [](I i, double l, double, S) { posterize(i, posterize_bits(l)); }},
    {"PosterizeIncreasing", false,
     [](I i, double l, double, S) { posterize(i, std::max(0, 4 - posterize_bits(l))); }},
    {"Solarize", false, [](I i, double l, double, S) { solarize(i, solarize_level(l)); }},
    {"SolarizeIncreasing", false,
     [](I i, double l, double, S) { solarize(i, 256 - solarize_level(l)); }},
    {"SolarizeAdd", false,
     [](I i, double l, double, S) {
       solarize_add(i, std::min(128, static_cast<int>(share(l) * 110)));
     }},
    {"Color", false, [](I i, double l, double, S) { adjust_saturation(i, enhance(l)); }},
    {"ColorIncreasing", false,
     [](I i, double l, double s, S) { adjust_saturation(i, enhance_increasing(l, s)); }},
    {"Contrast", false, [](I i, double l, double, S) { adjust_contrast(i, enhance(l)); }},
    {"ContrastIncreasing", false,
     [](I i, double l, double s, S) { adjust_contrast(i, enhance_increasing(l, s)); }},
    {"Brightness", false, [](I i, double l, double, S) { adjust_brightness(i, enhance(l)); }},
    {"BrightnessIncreasing", false,
     [](I i, double l, double s, S) { adjust_brightness(i, enhance_increasing(l, s)); }},
    {"Sharpness", false, [](I i, double l, double, S) { adjust_sharpness(i, enhance(l)); }},
    {"SharpnessIncreasing", false,
     [](I i, double l, double s, S) { adjust_sharpness(i, enhance_increasing(l, s)); }},
    {"ShearX", true, [](I i, double l, double s, S t) { i = sheared_x(i, s * share(l) * 0.3, t); }},
    {"ShearY", true, [](I i, double l, double s, S t) { i = sheared_y(i, s * share(l) * 0.3, t); }},
    {"TranslateXRel", true,
     [](I i, double l, double s, S t) { i = translated(i, s * share(l) * 0.45 * i.width, 0, t); }},
    {"TranslateYRel", true,
     [](I i, double l, double s, S t) { i = translated(i, 0, s * share(l) * 0.45 * i.height, t); }},
    {"Desaturate", false,
     [](I i, double l, double, S) { adjust_saturation(i, 1 - between(l, 0.5, 1)); }},
    {"GaussianBlur", false, [](I i, double l, double, S) { gaussian_blur(i, between(l, 0.1, 2)); }},
};

const TimmOp& timm_op(const std::string& name) {
  const auto found = std::ranges::find(kTimmOps, name, [](const TimmOp& op) { return op.name; });
  check(found != std::end(kTimmOps), kAugment, "there is no operation '{}'", name);
  return *found;
}

struct Choice {
  const char* name;
  double weight;
};
constexpr Choice kUsual[] = {{"AutoContrast", 1}, {"Equalize", 1},      {"Invert", 1},
                             {"Rotate", 1},       {"Posterize", 1},     {"Solarize", 1},
                             {"SolarizeAdd", 1},  {"Color", 1},         {"Contrast", 1},
                             {"Brightness", 1},   {"Sharpness", 1},     {"ShearX", 1},
                             {"ShearY", 1},       {"TranslateXRel", 1}, {"TranslateYRel", 1}};
constexpr const char* kWithIncreasing[] = {"Posterize", "Solarize",   "Color",
                                           "Contrast",  "Brightness", "Sharpness"};
constexpr Choice kThree[] = {{"SolarizeIncreasing", 1}, {"Desaturate", 1}, {"GaussianBlur", 1}};
constexpr Choice kWeightedThree[] = {{"SolarizeIncreasing", 6},
                                     {"Desaturate", 6},
                                     {"GaussianBlur", 6},
                                     {"Rotate", 3},
                                     {"ShearX", 2},
                                     {"ShearY", 2},
                                     {"PosterizeIncreasing", 1},
                                     {"AutoContrast", 1},
                                     {"ColorIncreasing", 1},
                                     {"SharpnessIncreasing", 1},
                                     {"ContrastIncreasing", 1},
                                     {"BrightnessIncreasing", 1},
                                     {"Equalize", 1},
                                     {"Invert", 1}};
constexpr Choice kWeighted[] = {{"Rotate", 3},
                                {"ShearX", 2},
                                {"ShearY", 2},
                                {"TranslateXRel", 1},
                                {"TranslateYRel", 1},
                                {"ColorIncreasing", 0.25},
                                {"SharpnessIncreasing", 0.25},
                                {"AutoContrast", 0.25},
                                {"SolarizeIncreasing", 0.05},
                                {"SolarizeAdd", 0.05},
                                {"ContrastIncreasing", 0.05},
                                {"BrightnessIncreasing", 0.05},
                                {"Equalize", 0.05},
                                {"PosterizeIncreasing", 0.05},
                                {"Invert", 0.05}};

// AutoAugment's policy for CIFAR-10: one pair is drawn. Magnitude -1: the operation has none.
struct Step {
  const char* name;
  double probability;
  int magnitude;
};
constexpr Step kCifar10[][2] = {
    {{"Invert", 0.1, -1}, {"Contrast", 0.2, 6}},
    {{"Rotate", 0.7, 2}, {"TranslateX", 0.3, 9}},
    {{"Sharpness", 0.8, 1}, {"Sharpness", 0.9, 3}},
    {{"ShearY", 0.5, 8}, {"TranslateY", 0.7, 9}},
    {{"AutoContrast", 0.5, -1}, {"Equalize", 0.9, -1}},
    {{"ShearY", 0.2, 7}, {"Posterize", 0.3, 7}},
    {{"Color", 0.4, 3}, {"Brightness", 0.6, 7}},
    {{"Sharpness", 0.3, 9}, {"Brightness", 0.7, 9}},
    {{"Equalize", 0.6, -1}, {"Equalize", 0.5, -1}},
    {{"Contrast", 0.6, 7}, {"Sharpness", 0.6, 5}},
    {{"Color", 0.7, 7}, {"TranslateX", 0.5, 8}},
    {{"Equalize", 0.3, -1}, {"AutoContrast", 0.4, -1}},
    {{"TranslateY", 0.4, 3}, {"Sharpness", 0.2, 6}},
    {{"Brightness", 0.9, 6}, {"Color", 0.2, 8}},
    {{"Solarize", 0.5, 2}, {"Invert", 0.0, -1}},
    {{"Equalize", 0.2, -1}, {"AutoContrast", 0.6, -1}},
    {{"Equalize", 0.2, -1}, {"Equalize", 0.6, -1}},
    {{"Color", 0.9, 9}, {"Equalize", 0.6, -1}},
    {{"AutoContrast", 0.8, -1}, {"Solarize", 0.2, 8}},
    {{"Brightness", 0.1, 3}, {"Color", 0.7, 0}},
    {{"Solarize", 0.4, 5}, {"AutoContrast", 0.9, -1}},
    {{"TranslateY", 0.9, 9}, {"TranslateY", 0.7, 9}},
    {{"AutoContrast", 0.9, -1}, {"Solarize", 0.8, 3}},
    {{"Equalize", 0.8, -1}, {"Invert", 0.1, -1}},
    {{"TranslateY", 0.7, 9}, {"AutoContrast", 0.9, -1}},
};

// torch.linspace(from, to, 10)[n], which counts from the nearer end in float32.
double between_in_ten(double from, double to, int n) {
  const auto first = static_cast<float>(from), last = static_cast<float>(to);
  const float step = (last - first) / 9.0f;
  return n < 5 ? first + step * static_cast<float>(n) : last - step * static_cast<float>(9 - n);
}

double number_of(const std::string& policy, std::string_view section, std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  check(error == std::errc{} && end == text.data() + text.size() && value >= 0, kAugment,
        "{}: '{}' has no number that can be read", policy, section);
  return value;
}

int64_t weighted(Rng& rng, const std::vector<double>& weights) {
  double total = 0;
  for (const double weight : weights) total += weight;
  double at = rng.uniform() * total;
  int64_t last = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] == 0) continue;
    last = static_cast<int64_t>(i);
    if (at < weights[i]) return last;
    at -= weights[i];
  }
  return last;
}

}  // namespace

void apply_timm_op(Image& image, const std::string& name, double level, bool negative,
                   const AffineStyle& style) {
  timm_op(name).apply(image, level, negative ? -1 : 1, style);
}

void apply_torchvision_op(Image& image, const std::string& name, int magnitude, bool negative) {
  const Style style{Filter::nearest, {}};
  const auto up_to = [&](double most) {
    const double value = between_in_ten(0, most, magnitude);
    return negative ? -value : value;
  };
  if (name == "ShearX")
    image = sheared_x(image, up_to(0.3), style);
  else if (name == "ShearY")
    image = sheared_y(image, up_to(0.3), style);
  else if (name == "TranslateX")
    image = translated(image, -std::trunc(up_to(150.0 / 331.0 * image.width)), 0, style);
  else if (name == "TranslateY")
    image = translated(image, 0, -std::trunc(up_to(150.0 / 331.0 * image.height)), style);
  else if (name == "Rotate")
    image = rotated(image, up_to(30), style);
  else if (name == "Brightness")
    adjust_brightness(image, 1 + up_to(0.9));
  else if (name == "Color")
    adjust_saturation(image, 1 + up_to(0.9));
  else if (name == "Contrast")
    adjust_contrast(image, 1 + up_to(0.9));
  else if (name == "Sharpness")
    adjust_sharpness(image, 1 + up_to(0.9));
  else if (name == "Posterize")
    posterize(image, 8 - static_cast<int>(std::nearbyint(magnitude / 2.25)));
  else if (name == "Solarize")
    solarize(image, between_in_ten(255, 0, magnitude));
  else if (name == "AutoContrast")
    auto_contrast(image);
  else if (name == "Equalize")
    equalize(image);
  else if (name == "Invert")
    invert(image);
  else
    fail(kAugment, "there is no operation '{}'", name);
}

AutoAugment::AutoAugment(const std::string& policy) : kind_(Kind::rand) {
  if (policy == "3a")
    kind_ = Kind::three;
  else if (policy == "cifar10")
    kind_ = Kind::cifar10;
  else if (policy == "rand" || policy.starts_with("rand-"))
    rand_ = parse(policy);
  else
    fail(kAugment, "auto_augment is '{}'; known are rand-m9-mstd0.5-inc1 and the like, 3a, cifar10",
         policy);
}

AutoAugment::Rand AutoAugment::parse(const std::string& policy) {
  Rand rand;
  bool increasing = false;
  std::string choice;
  for (size_t begin = policy.find('-'); begin != std::string::npos;) {
    const size_t end = policy.find('-', begin + 1);
    const std::string section = policy.substr(begin + 1, end - begin - 1);
    begin = end;
    if (section.starts_with('t')) {
      choice = section.substr(1);
      continue;
    }
    const size_t digit = std::min(section.find_first_of("0123456789"), section.size());
    const std::string key = section.substr(0, digit);
    const double value = number_of(policy, section, std::string_view(section).substr(digit));
    if (key == "m")
      rand.magnitude = value;
    else if (key == "n")
      rand.operations = static_cast<int64_t>(std::min(value, 100.0));
    else if (key == "p")
      rand.probability = value;
    else if (key == "mstd")
      rand.deviation = value;
    else if (key == "mmax")
      rand.highest = value;
    else if (key == "inc")
      increasing = value != 0;
    else
      fail(kAugment, "{}: unknown section '{}'; known are m, n, p, mstd, mmax, inc, t", policy,
           section);
  }
  const auto take = [&](const auto& choices, bool weighted) {
    for (const Choice& one : choices) {
      rand.names.emplace_back(one.name);
      if (weighted) rand.weights.push_back(one.weight);
    }
  };
  if (choice.empty())
    take(kUsual, false);
  else if (choice == "3a")
    take(kThree, false);
  else if (choice == "3aw")
    take(kWeightedThree, true);
  else if (choice == "weights")
    take(kWeighted, true);
  else
    fail(kAugment, "{}: 't{}' is no choice of operations; known are weights, 3a, 3aw", policy,
         choice);
  if (increasing && choice.empty()) {
    for (std::string& name : rand.names)
      if (std::ranges::find(kWithIncreasing, name) != std::end(kWithIncreasing))
        name += "Increasing";
  }
  check(rand.weights.empty() || rand.operations <= static_cast<int64_t>(rand.names.size()),
        kAugment, "{}: of {} operations none comes twice, so n is at most that", policy,
        rand.names.size());
  return rand;
}

void AutoAugment::apply_rand(Image& image, Rng& rng, FunctionRef<AffineStyle()> style) const {
  std::vector<double> weights = rand_.weights;
  for (int64_t i = 0; i < rand_.operations; ++i) {
    size_t chosen;
    if (weights.empty()) {
      chosen = static_cast<size_t>(rng.below(static_cast<int64_t>(rand_.names.size())));
    } else {
      chosen = static_cast<size_t>(weighted(rng, weights));
      weights[chosen] = 0;
    }
    if (rng.uniform() >= rand_.probability) continue;
    double level = rand_.magnitude;
    if (rand_.deviation > 100)
      level = rng.uniform(0, level);
    else if (rand_.deviation > 0)
      level += rand_.deviation * rng.normal();
    level = std::clamp(level, 0.0, rand_.highest);
    const TimmOp& op = timm_op(rand_.names[chosen]);
    const bool negative = rng.uniform() > 0.5;
    op.apply(image, level, negative ? -1 : 1, op.moves_pixels ? style() : AffineStyle{});
  }
}

void AutoAugment::apply(Image& image, Rng& rng, FunctionRef<AffineStyle()> style) const {
  if (kind_ == Kind::rand) return apply_rand(image, rng, style);
  if (kind_ == Kind::three) {
    const int64_t which = rng.below(3);
    if (which == 0) return solarize(image, 128);
    if (which == 1) return make_grey(image);
    return gaussian_blur(image, rng.uniform(0.1, 2));
  }
  for (const Step& step : kCifar10[rng.below(static_cast<int64_t>(std::size(kCifar10)))]) {
    const double chance = rng.uniform();
    const bool negative = rng.below(2) == 0;
    if (chance <= step.probability)
      apply_torchvision_op(image, step.name, std::max(0, step.magnitude), negative);
  }
}

}  // namespace vitrail
