// The SIMD inner loops of resizing and normalising, over raw rows of bytes. Sums are 32-bit
// integers and so the same in any order: every instruction set gives the same bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "image/resize_weights.h"

namespace vitrail {

// Pillow's: 8 bits for the pixel, 2 for the sum's overshoot, and the sign is the rest.
inline constexpr int kPrecisionBits = 32 - 8 - 2;

struct FixedWeights {
  std::vector<Window> windows;
  std::vector<int32_t> values;  // [windows, stride], in units of 2^-kPrecisionBits
  int stride = 0;
};

// Rows that the horizontal pass takes at once: the lanes of its vectors are rows, so that a weight
// is one broadcast and any number of channels is the same loop.
inline constexpr int kBlockRows = 16;

// to[r][x, c] = clip(sum over i of weights[x, i] * from[r][begin(x) + i, c]), for `rows` <=
// kBlockRows rows. `scratch` has at least across_scratch_bytes, aligned to kAlignment. No byte is
// read outside the windows.
struct AcrossArgs {
  const uint8_t* const* from = nullptr;  // [rows], at the source's column 0
  uint8_t* const* to = nullptr;          // [rows], one pixel a window
  int rows = 0;
  int channels = 0;  // 1 or 3
  const FixedWeights* weights = nullptr;
  uint8_t* scratch = nullptr;
};
void resize_across(const AcrossArgs& args);
size_t across_scratch_bytes(const FixedWeights& weights, int channels);

// to[i] = clip(sum over r < count of weights[r] * rows[r][i]), for i < bytes.
struct DownArgs {
  const uint8_t* const* rows = nullptr;
  const int32_t* weights = nullptr;
  int count = 0;
  size_t bytes = 0;
  uint8_t* to = nullptr;
};
void resize_down(const DownArgs& args);

// A channel's way from a byte to a float.
struct ByteToFloat {
  float divisor = 1, mean = 0, deviation = 1;  // (byte / divisor - mean) / deviation
  float table[256];                            // what counts
  bool by_formula = false;                     // the formula in vectors gives the table, bit by bit
};
// Sets by_formula, for the instruction set in use.
void check_formula(ByteToFloat& map);

// to[c][x] = maps[c](pixels[x, c]) for three channels; a source of one channel is read thrice.
struct NormalizeArgs {
  const uint8_t* pixels = nullptr;  // [width, pixel_channels]
  int width = 0;
  int pixel_channels = 3;
  int channels = 3;                   // 1 (of one) or 3
  const ByteToFloat* maps = nullptr;  // [channels]
  float* const* to = nullptr;         // [channels]
};
void normalize_row(const NormalizeArgs& args);

}  // namespace vitrail
