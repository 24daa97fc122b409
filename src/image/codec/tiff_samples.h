// How the samples of a TIFF's row become grey or colours, as Pillow's modes have it.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "image/codec/codec_formats.h"

namespace vitrail {

enum class TiffColor : uint8_t { grey, palette, rgb, cmyk, ycbcr };

// What the directory says of a pixel.
struct TiffLayout {
  uint16_t photometric = 0;
  uint16_t bits = 1;
  uint16_t samples = 1;
  uint16_t sample_format = 1;  // 1 unsigned, 2 signed, 3 floating
  uint16_t fill_order = 1;
  std::vector<uint16_t>
      extra;  // 0 unspecified, 1 alpha that the colours were multiplied by, 2 alpha
  bool big_endian = false;
  bool compressed = false;
};

struct TiffSamples {
  TiffColor color = TiffColor::grey;
  int bits = 8;           // of a sample
  int samples = 1;        // of a pixel, all that a row holds
  bool inverted = false;  // white is 0
  bool is_signed = false;
  bool swapped = false;  // Pillow takes the bytes of these the other way round
  int alpha = -1;        // sample that the colours were multiplied by; -1: none
  std::array<uint8_t, 768> palette{};

  int channels() const { return color == TiffColor::grey ? 1 : 3; }
  uint64_t row_bytes(uint64_t pixels) const {
    return (pixels * static_cast<uint64_t>(bits) * static_cast<uint64_t>(samples) + 7) / 8;
  }
};

// Error: a combination that Pillow does not open, and floating point.
TiffSamples tiff_samples(const TiffLayout& layout, const PictureSource& source);

// A row of interleaved samples, numbers in the machine's order.
void unpack_tiff_row(const TiffSamples& samples, const uint8_t* from, int pixels, uint8_t* to);

}  // namespace vitrail
