#include "image/augment/color.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "image/augment/blend.h"

namespace vitrail {
namespace {

using Table = std::array<uint8_t, 256>;

// A value's new value, for each channel.
template <typename Map>
Table table_of(Map map) {
  Table table;
  for (int i = 0; i < 256; ++i) table[static_cast<size_t>(i)] = static_cast<uint8_t>(map(i));
  return table;
}

void look_up(Image& image, const Table& table) {
  for (uint8_t& value : image.pixels) value = table[value];
}

using Histogram = std::array<int64_t, 256>;

std::vector<Histogram> histograms(const Image& image) {
  std::vector<Histogram> counts(static_cast<size_t>(image.channels), Histogram{});
  const auto channels = static_cast<size_t>(image.channels);
  for (size_t i = 0; i < image.pixels.size(); i += channels)
    for (size_t c = 0; c < channels; ++c) ++counts[c][image.pixels[i + c]];
  return counts;
}

// A table for each channel.
template <typename MakeTable>
void look_up_by_channel(Image& image, MakeTable make) {
  std::vector<Table> tables;
  for (const Histogram& histogram : histograms(image)) tables.push_back(make(histogram));
  const auto channels = static_cast<size_t>(image.channels);
  for (size_t i = 0; i < image.pixels.size(); i += channels)
    for (size_t c = 0; c < channels; ++c) image.pixels[i + c] = tables[c][image.pixels[i + c]];
}

uint8_t luma(const uint8_t* rgb) {
  return static_cast<uint8_t>((rgb[0] * 19595u + rgb[1] * 38470u + rgb[2] * 7471u + 0x8000u) >> 16);
}

// Pillow's rgb2hsv and back, with its mixture of float and double.
void to_hsv(const uint8_t* rgb, uint8_t* hsv) {
  const uint8_t r = rgb[0], g = rgb[1], b = rgb[2];
  const uint8_t high = std::max({r, g, b}), low = std::min({r, g, b});
  hsv[2] = high;
  if (high == low) {
    hsv[0] = hsv[1] = 0;
    return;
  }
  const auto range = static_cast<float>(high - low);
  const float saturation = range / static_cast<float>(high);
  const float red = static_cast<float>(high - r) / range;
  const float green = static_cast<float>(high - g) / range;
  const float blue = static_cast<float>(high - b) / range;
  float hue;
  if (r == high)
    hue = blue - green;
  else if (g == high)
    hue = static_cast<float>(2.0 + red - blue);
  else
    hue = static_cast<float>(4.0 + green - red);
  hue = static_cast<float>(std::fmod(hue / 6.0 + 1.0, 1.0));
  hsv[0] = static_cast<uint8_t>(std::clamp(static_cast<int>(hue * 255.0), 0, 255));
  hsv[1] = static_cast<uint8_t>(std::clamp(static_cast<int>(saturation * 255.0), 0, 255));
}

void to_rgb_from_hsv(const uint8_t* hsv, uint8_t* rgb) {
  const uint8_t v = hsv[2];
  if (hsv[1] == 0) {
    rgb[0] = rgb[1] = rgb[2] = v;
    return;
  }
  const auto sixth = static_cast<float>(hsv[0] * 6.0 / 255.0);
  const auto saturation = static_cast<float>(hsv[1] / 255.0);
  const int sector = static_cast<int>(std::floor(sixth));
  const float rest = sixth - static_cast<float>(sector);
  const auto byte = [v](double share) {
    return static_cast<uint8_t>(
        std::clamp(static_cast<int>(std::round(static_cast<float>(v) * share)), 0, 255));
  };
  const uint8_t p = byte(1.0 - saturation), q = byte(1.0 - saturation * rest),
                t = byte(1.0 - saturation * (1.0 - rest));
  const uint8_t sectors[6][3] = {{v, t, p}, {q, v, p}, {p, v, t}, {p, q, v}, {t, p, v}, {v, p, q}};
  std::copy_n(sectors[sector % 6], 3, rgb);
}

}  // namespace

void adjust_brightness(Image& image, double factor) {
  const Blend blend(factor);
  look_up(image, table_of([&](int i) { return blend(0, i); }));
}

void adjust_contrast(Image& image, double factor) {
  int64_t sum = 0;
  const auto channels = static_cast<size_t>(image.channels);
  for (size_t i = 0; i < image.pixels.size(); i += channels)
    sum += channels == 3 ? luma(&image.pixels[i]) : image.pixels[i];
  const double count = static_cast<double>(image.pixels.size() / channels);
  const int mean = static_cast<int>(static_cast<double>(sum) / count + 0.5);
  const Blend blend(factor);
  look_up(image, table_of([&](int i) { return blend(mean, i); }));
}

void adjust_saturation(Image& image, double factor) {
  if (image.channels != 3) return;
  const Blend blend(factor);
  for (size_t i = 0; i < image.pixels.size(); i += 3) {
    uint8_t* pixel = &image.pixels[i];
    const uint8_t grey = luma(pixel);
    for (int c = 0; c < 3; ++c) pixel[c] = blend(grey, pixel[c]);
  }
}

void adjust_hue(Image& image, double shift) {
  if (image.channels != 3) return;
  const auto turn = static_cast<uint8_t>(static_cast<int>(shift * 255));
  for (size_t i = 0; i < image.pixels.size(); i += 3) {
    uint8_t hsv[3];
    to_hsv(&image.pixels[i], hsv);
    hsv[0] = static_cast<uint8_t>(hsv[0] + turn);
    to_rgb_from_hsv(hsv, &image.pixels[i]);
  }
}

void make_grey(Image& image) {
  if (image.channels != 3) return;
  for (size_t i = 0; i < image.pixels.size(); i += 3)
    std::fill_n(&image.pixels[i], 3, luma(&image.pixels[i]));
}

void auto_contrast(Image& image) {
  look_up_by_channel(image, [](const Histogram& histogram) {
    int low = 0, high = 255;
    while (low < 255 && histogram[static_cast<size_t>(low)] == 0) ++low;
    while (high > 0 && histogram[static_cast<size_t>(high)] == 0) --high;
    if (high <= low) return table_of([](int i) { return i; });
    const double scale = 255.0 / (high - low);
    const double offset = -low * scale;
    return table_of(
        [&](int i) { return std::clamp(static_cast<int>(i * scale + offset), 0, 255); });
  });
}

void equalize(Image& image) {
  look_up_by_channel(image, [](const Histogram& histogram) {
    int64_t total = 0, last = 0, present = 0;
    for (const int64_t count : histogram) {
      total += count;
      if (count != 0) last = count, ++present;
    }
    const int64_t step = (total - last) / 255;
    if (present <= 1 || step == 0) return table_of([](int i) { return i; });
    int64_t below = step / 2;
    return table_of([&](int i) {
      const int64_t value = below / step;
      below += histogram[static_cast<size_t>(i)];
      return std::min<int64_t>(value, 255);
    });
  });
}

void invert(Image& image) {
  look_up(image, table_of([](int i) { return 255 - i; }));
}

void posterize(Image& image, int bits) {
  const int mask = bits >= 8 ? 255 : ~((1 << (8 - bits)) - 1) & 255;
  look_up(image, table_of([&](int i) { return i & mask; }));
}

void solarize(Image& image, double threshold) {
  look_up(image, table_of([&](int i) { return i < threshold ? i : 255 - i; }));
}

void solarize_add(Image& image, int add) {
  look_up(image, table_of([&](int i) { return i < 128 ? std::min(255, i + add) : i; }));
}

}  // namespace vitrail
