#include "image/codec/hevc_size.h"

#include <algorithm>
#include <string_view>
#include <vector>

namespace vitrail {
namespace {

// Bits of a NAL unit, of which the bytes that only keep start codes away are left out.
class NalBits {
 public:
  explicit NalBits(std::string_view unit) {
    constexpr size_t kMaxBytes = 4096;  // a few dozen in practice
    int zeros = 0;
    for (const char c : unit.substr(0, kMaxBytes)) {
      const auto byte = static_cast<uint8_t>(c);
      if (zeros >= 2 && byte == 3) {
        zeros = 0;
        continue;
      }
      zeros = byte == 0 ? zeros + 1 : 0;
      bytes_.push_back(byte);
    }
  }
  void skip(size_t count) { at_ += count; }
  uint64_t bits(int count) {
    uint64_t value = 0;
    for (int i = 0; i < count; ++i, ++at_) {
      const size_t byte = at_ / 8;
      value = value << 1 | (byte < bytes_.size() ? bytes_[byte] >> (7 - at_ % 8) & 1u : 0u);
    }
    return value;
  }
  // Exponential Golomb (ITU-T H.265, 9.2).
  uint64_t golomb() {
    int zeros = 0;
    while (zeros < 32 && at_ < 8 * bytes_.size() && bits(1) == 0) ++zeros;
    return (uint64_t{1} << zeros) - 1 + bits(zeros);
  }

 private:
  std::vector<uint8_t> bytes_;
  size_t at_ = 0;
};

constexpr int kSequenceParameters = 33;  // kinds of unit (ITU-T H.265, 7.4.2.2)
constexpr int kFirstOther = 32;          // below: slices of a picture
constexpr uint64_t kMaxSide = 1 << 16;

// A sequence parameter set (ITU-T H.265, 7.3.2.2).
void count_set(std::string_view parameter_set, HevcPicture& found) {
  NalBits bits(parameter_set);
  bits.skip(16 + 4);  // the unit's header, the video parameter set
  const auto sub_layers = static_cast<int>(bits.bits(3));
  bits.skip(1 + 88 + 8);  // nesting; the general profile and level
  bool has_profile[8] = {}, has_level[8] = {};
  for (int i = 0; i < sub_layers; ++i) {
    has_profile[i] = bits.bits(1) != 0;
    has_level[i] = bits.bits(1) != 0;
  }
  if (sub_layers > 0) bits.skip(2 * static_cast<size_t>(8 - sub_layers));
  for (int i = 0; i < sub_layers; ++i)
    bits.skip((has_profile[i] ? 88 : 0) + (has_level[i] ? size_t{8} : size_t{0}));
  bits.golomb();  // which set
  const uint64_t chroma = bits.golomb();
  if (chroma == 3) bits.skip(1);  // its planes apart or not
  const uint64_t width = bits.golomb(), height = bits.golomb();
  if (bits.bits(1) != 0)  // the window that is shown
    for (int side = 0; side < 4; ++side) bits.golomb();
  const uint64_t luma_bits = 8 + bits.golomb(), chroma_bits = 8 + bits.golomb();
  ++found.parameter_sets;
  found.has_420 = found.has_420 || chroma == 1;
  found.has_more = found.has_more || chroma > 1;
  found.bits = std::max({found.bits, luma_bits, chroma_bits});
  // Sides of no codec's level stay so large that no limit lets them pass.
  found.pixels = std::max(found.pixels, std::min(width, kMaxSide) * std::min(height, kMaxSide));
}

// What a unit is, is said by itself: libde265 believes nothing else.
void count_unit(std::string_view unit, HevcPicture& found) {
  if (unit.size() < 3) return;
  const int kind = static_cast<uint8_t>(unit[0]) >> 1 & 63;
  if (kind == kSequenceParameters) count_set(unit, found);
  const bool first_slice = (static_cast<uint8_t>(unit[2]) & 0x80) != 0;
  if (kind < kFirstOther && first_slice) ++found.pictures;
}

size_t number(std::string_view bytes, size_t at, size_t count) {
  size_t value = 0;
  for (size_t i = 0; i < count; ++i) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

// The units behind a configuration's 22 bytes (ISO/IEC 14496-15, 8.3.3.1).
void count_configuration(std::string_view configuration, HevcPicture& found) {
  constexpr size_t kFixed = 22;
  size_t at = kFixed;
  if (at >= configuration.size()) return;
  const size_t arrays = number(configuration, at++, 1);
  for (size_t i = 0; i < arrays && at + 3 <= configuration.size(); ++i) {
    const size_t units = number(configuration, at + 1, 2);
    at += 3;
    for (size_t unit = 0; unit < units && at + 2 <= configuration.size(); ++unit) {
      const size_t length = number(configuration, at, 2);
      at += 2;
      if (length > configuration.size() - at) return;
      count_unit(configuration.substr(at, length), found);
      at += length;
    }
  }
}

}  // namespace

HevcPicture hevc_picture(std::string_view configuration, std::string_view data) {
  constexpr size_t kLengthBytes = 4;  // libheif reads no others
  HevcPicture found;
  count_configuration(configuration, found);
  while (data.size() >= kLengthBytes) {
    const size_t length = number(data, 0, kLengthBytes);
    data.remove_prefix(kLengthBytes);
    if (length > data.size()) break;
    count_unit(data.substr(0, length), found);
    data.remove_prefix(length);
  }
  return found;
}

}  // namespace vitrail
