// From bytes to the floats that a model reads: rescaled, then normalised.
#pragma once

#include <array>
#include <cstdint>

#include "image/pixel_rows.h"
#include "image/preprocess/preprocess.h"

namespace vitrail {

// The two steps for one value, each rounded as the family's library rounds it.
float rescaled(uint8_t byte, const Preprocess& preprocess);
float normalized(float value, const Preprocess& preprocess, int channel);

// And back: the picture whose floats [channels, height, width] these are, each rounded to the
// nearest byte and held within 0 and 255.
Image denormalized(const float* planes, PictureSize size, const Preprocess& preprocess);

// A byte has 256 values, so the steps are done 256 times a channel, and rows are looked up, or
// computed by a formula that gives the very same floats.
class Normalizer {
 public:
  explicit Normalizer(const Preprocess& preprocess);

  float value(int channel, uint8_t byte) const {
    return maps_[static_cast<size_t>(channel)].table[byte];
  }
  // pixels [width, pixel_channels], of one channel or of those of the preprocessing; to[c] takes
  // channel c.
  void row(const uint8_t* pixels, int width, int pixel_channels, float* const* to) const;

 private:
  int channels_;
  std::array<ByteToFloat, 3> maps_;
};

}  // namespace vitrail
