#include "image/codec/jpeg_scans.h"

#include <cstring>

namespace vitrail {

uint64_t count_jpeg_scans(std::span<const std::byte> bytes) {
  constexpr uint8_t kFirstPlain = 0xD0, kLastPlain = 0xD8, kStartOfScan = 0xDA;
  constexpr uint8_t kEndOfImage = 0xD9;
  uint64_t scans = 0;
  for (size_t at = 2; at + 4 <= bytes.size();) {
    const void* found = std::memchr(bytes.data() + at, 0xFF, bytes.size() - at - 3);
    if (found == nullptr) break;
    at = static_cast<size_t>(static_cast<const std::byte*>(found) - bytes.data());
    const auto marker = static_cast<uint8_t>(bytes[at + 1]);
    if (marker == 0xFF) {
      ++at;
      continue;
    }
    if (marker <= 0x01 || (marker >= kFirstPlain && marker <= kLastPlain)) {
      at += 2;  // without a length
      continue;
    }
    if (marker == kEndOfImage) break;
    if (marker == kStartOfScan) ++scans;
    at += 2 + (static_cast<size_t>(bytes[at + 2]) << 8 | static_cast<size_t>(bytes[at + 3]));
  }
  return scans;
}

}  // namespace vitrail
