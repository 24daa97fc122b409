#include "report/text_encoding.h"

#include <array>
#include <cstdint>

namespace vitrail {

std::string encode_base85(std::span<const std::byte> bytes) {
  std::string text;
  text.reserve(base85_size(bytes.size()));
  for (size_t at = 0; at < bytes.size(); at += 4) {
    uint32_t word = 0;
    for (size_t i = 0; i < 4 && at + i < bytes.size(); ++i)
      word |= std::to_integer<uint32_t>(bytes[at + i]) << (8 * i);
    std::array<char, 5> digits{};
    for (size_t i = digits.size(); i-- > 0; word /= 85) digits[i] = kBase85Alphabet[word % 85];
    text.append(digits.data(), digits.size());
  }
  return text;
}

std::string encode_base64(std::span<const std::byte> bytes) {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t at = 0; at < bytes.size(); at += 3) {
    uint32_t word = 0;
    for (size_t i = 0; i < 3; ++i)
      word = word << 8 | (at + i < bytes.size() ? std::to_integer<uint32_t>(bytes[at + i]) : 0);
    for (size_t i = 0; i < 4; ++i)
      text += at + i <= bytes.size() ? kAlphabet[(word >> (18 - 6 * i)) & 63] : '=';
  }
  return text;
}

}  // namespace vitrail
