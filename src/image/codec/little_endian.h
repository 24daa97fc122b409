// Numbers of a file in memory, lowest byte first, each read after a look at the end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace vitrail {

// Bytes read in order. `ended` says that something was asked for behind the last one; what was
// read then is zero, and the caller refuses the file.
class LittleEndianReader {
 public:
  LittleEndianReader(std::span<const std::byte> bytes, size_t at = 0) : bytes_(bytes), at_(at) {}

  uint8_t u8() { return static_cast<uint8_t>(number(1)); }
  uint16_t u16() { return static_cast<uint16_t>(number(2)); }
  uint32_t u32() { return static_cast<uint32_t>(number(4)); }
  // The next bytes as they lie; fewer at the end.
  std::span<const std::byte> take(size_t count) {
    if (at_ > bytes_.size() || count > bytes_.size() - at_) {
      ended = true;
      count = at_ > bytes_.size() ? 0 : bytes_.size() - at_;
    }
    const auto part = bytes_.subspan(at_ > bytes_.size() ? bytes_.size() : at_, count);
    at_ += count;
    return part;
  }
  size_t at() const { return at_; }
  size_t left() const { return at_ > bytes_.size() ? 0 : bytes_.size() - at_; }

  bool ended = false;

 private:
  uint32_t number(size_t count) {
    uint32_t value = 0;
    const auto part = take(count);
    for (size_t i = 0; i < part.size(); ++i) value |= static_cast<uint32_t>(part[i]) << (8 * i);
    return part.size() == count ? value : 0;
  }

  std::span<const std::byte> bytes_;
  size_t at_;
};

}  // namespace vitrail
