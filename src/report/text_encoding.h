// Bytes as printable text: five characters of an alphabet of 85 for a word of four bytes, read
// little-endian. A quarter more than the bytes, where base64 takes a third more. The alphabet has
// none of the characters that mean something in JSON or HTML.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace vitrail {

inline constexpr std::string_view kBase85Alphabet =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%()*+-./:;=?@[]^_{|}";
static_assert(kBase85Alphabet.size() == 85);

constexpr size_t base85_size(size_t bytes) {
  return (bytes + 3) / 4 * 5;
}
// The last word is filled up with zeros.
std::string encode_base85(std::span<const std::byte> bytes);

// RFC 4648, for pictures in data: addresses.
std::string encode_base64(std::span<const std::byte> bytes);

}  // namespace vitrail
