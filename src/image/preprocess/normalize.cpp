#include "image/preprocess/normalize.h"

#include <algorithm>
#include <cmath>

namespace vitrail {

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

Image denormalized(const float* planes, PictureSize size, const Preprocess& preprocess) {
  Image out(size.width, size.height, preprocess.channels);
  const auto channels = static_cast<size_t>(preprocess.channels);
  const size_t pixels = out.pixels.size() / channels;
  for (size_t c = 0; c < channels; ++c) {
    const float black = normalized(rescaled(0, preprocess), preprocess, static_cast<int>(c));
    const float white = normalized(rescaled(255, preprocess), preprocess, static_cast<int>(c));
    for (size_t i = 0; i < pixels; ++i) {
      const auto plane = static_cast<size_t>(preprocess.plane_of(static_cast<int>(c)));
      const float level = (planes[plane * pixels + i] - black) / (white - black) * 255;
      out.pixels[i * channels + c] =
          static_cast<uint8_t>(std::clamp(std::nearbyint(level), 0.0f, 255.0f));
    }
  }
  return out;
}

Normalizer::Normalizer(const Preprocess& p) : channels_(p.channels) {
  for (int channel = 0; channel < channels_; ++channel) {
    const auto index = static_cast<size_t>(channel);
    ByteToFloat& map = maps_[index];
    for (int byte = 0; byte < 256; ++byte)
      map.table[byte] = normalized(rescaled(static_cast<uint8_t>(byte), p), p, channel);
    if (p.do_rescale) map.divisor = static_cast<float>(1 / p.rescale_factor);
    if (p.do_normalize) {
      map.mean = static_cast<float>(p.mean[index]);
      map.deviation = static_cast<float>(p.std[index]);
    }
    check_formula(map);
  }
}

void Normalizer::row(const uint8_t* pixels, int width, int pixel_channels, float* const* to) const {
  normalize_row({.pixels = pixels,
                 .width = width,
                 .pixel_channels = pixel_channels,
                 .channels = channels_,
                 .maps = maps_.data(),
                 .to = to});
}

}  // namespace vitrail
