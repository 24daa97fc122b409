#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace vitrail {

// What the decoder configurations (hvcC, ISO/IEC 14496-15) of a HEIF say of its pictures. They are
// found by name, wherever they stand: what looks like one by chance only makes the answer larger.
struct HevcPictures {
  bool only_420 = false;  // all that have colours have them at half the width and height
  uint64_t pixels = 0;    // of the largest
};
HevcPictures hevc_pictures(std::span<const std::byte> file);

}  // namespace vitrail
