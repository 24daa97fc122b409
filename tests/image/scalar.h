// Resizing and normalising as plainly as they can be written: the oracle of the SIMD rows.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "image/preprocess/preprocess.h"
#include "image/resize_weights.h"

namespace vitrail::testing {

// One direction in 22-bit fixed point: `lines` lines of axis.in pixels, `step` bytes apart.
struct ScalarPass {
  Axis axis;
  Filter filter;
  int lines, line_step, pixel_step;  // of the source
  int out_line_step, out_pixel_step;
};

inline void scalar_pass(const ScalarPass& pass, const uint8_t* from, uint8_t* to) {
  const auto weights = filter_weights<double>(pass.axis, pass.filter);
  for (int position = 0; position < pass.axis.out; ++position) {
    const Window window = weights.windows[static_cast<size_t>(position)];
    for (int line = 0; line < pass.lines; ++line) {
      int64_t sum = int64_t{1} << 21;
      for (int i = 0; i < window.count; ++i) {
        const double weight =
            weights.values[static_cast<size_t>(position) * weights.stride + i] * (1 << 22);
        sum += static_cast<int64_t>(weight + (weight < 0 ? -0.5 : 0.5)) *
               from[line * pass.line_step + (window.begin + i) * pass.pixel_step];
      }
      to[line * pass.out_line_step + position * pass.out_pixel_step] =
          static_cast<uint8_t>(std::clamp<int64_t>(sum >> 22, 0, 255));
    }
  }
}

inline Image scalar_resize(const Image& image, int width, int height, Filter filter,
                           const SourceBox& box) {
  const Axis across{image.width, width, static_cast<float>(box.x0), static_cast<float>(box.x1)};
  const Axis down{image.height, height, static_cast<float>(box.y0), static_cast<float>(box.y1)};
  const int channels = image.channels;
  Image between(width, image.height, channels), out(width, height, channels);
  if (is_resized(across))
    for (int c = 0; c < channels; ++c)
      scalar_pass({across, filter, image.height, image.width * channels, channels, width * channels,
                   channels},
                  image.pixels.data() + c, between.pixels.data() + c);
  else
    between = image;
  if (is_resized(down))
    scalar_pass({down, filter, width * channels, 1, width * channels, 1, width * channels},
                between.pixels.data(), out.pixels.data());
  else
    out = between;
  return out;
}

// (byte / 255 - mean) / std as torchvision computes it, or with the factor of transformers.
inline float scalar_float(uint8_t byte, const Preprocess& p, size_t channel) {
  volatile float value = static_cast<float>(byte) / 255.0f;
  if (p.arithmetic == Arithmetic::huggingface)
    value = static_cast<float>(static_cast<double>(byte) * p.rescale_factor);
  volatile float centred = value - static_cast<float>(p.mean[channel]);
  return centred / static_cast<float>(p.std[channel]);
}

}  // namespace vitrail::testing
