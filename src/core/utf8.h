// UTF-8 as RFC 3629 has it: overlong forms, surrogates and codes above 0x10ffff are not valid.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace vitrail {

struct Utf8Character {
  uint32_t code = 0;
  size_t bytes = 0;  // 0: the byte at hand begins no valid character
};

// The character at the front of `text`, which is not empty.
Utf8Character decode_utf8(std::string_view text);

// How many bytes at the front of `text` are valid; all of them when it is UTF-8.
size_t valid_utf8_bytes(std::string_view text);

}  // namespace vitrail
