#include "image/hevc_size.h"

#include <algorithm>
#include <string_view>
#include <vector>

namespace vitrail {
namespace {

// Bits of a NAL unit, of which the bytes that only keep start codes away are left out.
class NalBits {
 public:
  explicit NalBits(std::string_view unit) {
    int zeros = 0;
    for (const char c : unit) {
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

// Width times height of a sequence parameter set (ITU-T H.265, 7.3.2.2).
uint64_t pixels_of(std::string_view parameter_set) {
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
  bits.golomb();                         // which set
  if (bits.golomb() == 3) bits.skip(1);  // 4:4:4, its planes apart or not
  const uint64_t width = bits.golomb();
  return width * bits.golomb();
}

size_t number(std::string_view bytes, size_t at, size_t count) {
  size_t value = 0;
  for (size_t i = 0; i < count; ++i) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

// The largest picture of the parameter sets behind a configuration's 23 bytes.
uint64_t largest_picture(std::string_view configuration) {
  constexpr size_t kFixed = 22;
  constexpr int kSequenceParameters = 33;
  uint64_t largest = 0;
  size_t at = kFixed;
  if (at >= configuration.size()) return 0;
  const size_t arrays = number(configuration, at++, 1);
  for (size_t i = 0; i < arrays && at + 3 <= configuration.size(); ++i) {
    const auto kind = static_cast<int>(number(configuration, at, 1) & 63);
    const size_t units = number(configuration, at + 1, 2);
    at += 3;
    for (size_t unit = 0; unit < units && at + 2 <= configuration.size(); ++unit) {
      const size_t length = number(configuration, at, 2);
      at += 2;
      if (length > configuration.size() - at) return largest;
      if (kind == kSequenceParameters)
        largest = std::max(largest, pixels_of(configuration.substr(at, length)));
      at += length;
    }
  }
  return largest;
}

}  // namespace

HevcPictures hevc_pictures(std::span<const std::byte> file) {
  constexpr std::string_view kName = "hvcC";
  constexpr size_t kChromaFormat = 16;   // in the lower two bits; 0: grey
  constexpr size_t kMaxBytes = 1 << 16;  // of a configuration: a few hundred in practice
  const std::string_view bytes(reinterpret_cast<const char*>(file.data()), file.size());
  HevcPictures found;
  bool others = false;
  for (size_t at = bytes.find(kName); at != std::string_view::npos;
       at = bytes.find(kName, at + 1)) {
    const std::string_view configuration = bytes.substr(at + kName.size(), kMaxBytes);
    if (configuration.size() <= kChromaFormat) break;
    const int chroma = configuration[kChromaFormat] & 3;
    found.only_420 = found.only_420 || chroma == 1;
    others = others || chroma > 1;
    found.pixels = std::max(found.pixels, largest_picture(configuration));
  }
  found.only_420 = found.only_420 && !others;
  return found;
}

}  // namespace vitrail
