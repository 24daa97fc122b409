#include "core/printable.h"

#include <fmt/format.h>

#include <cstdint>

namespace vitrail {
namespace {

struct Character {
  uint32_t code = 0;
  size_t bytes = 0;  // 0: the byte at hand begins no valid UTF-8
};

// The character at the front of `text`; overlong forms and surrogates are not valid (RFC 3629).
Character decode(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return {first, 1};
  const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return {};
  uint32_t code = first & (0x7fu >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    code = code << 6 | (byte(i) & 0x3fu);
  }
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kLeast[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return {};
  return {code, length};
}

bool is_control(uint32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0);
}

// Characters that steer how others are shown, or that nobody can see.
bool is_unseen(uint32_t code) {
  return code == 0xad || code == 0x61c || code == 0x180e || (code >= 0x200b && code <= 0x200f) ||
         (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x206f) ||
         code == 0xfeff || (code >= 0xfff9 && code <= 0xfffb) ||
         (code >= 0xe0000 && code <= 0xe0fff);
}

std::string escaped(uint32_t code) {
  switch (code) {
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default:
      return code < 0x100     ? fmt::format("\\x{:02x}", code)
             : code < 0x10000 ? fmt::format("\\u{:04x}", code)
                              : fmt::format("\\U{:08x}", code);
  }
}

}  // namespace

std::string printable(std::string_view text, size_t max_bytes) {
  std::string shown;
  for (size_t at = 0; at < text.size();) {
    const Character character = decode(text.substr(at));
    const size_t length = character.bytes > 0 ? character.bytes : 1;
    const std::string next = character.bytes == 0
                                 ? fmt::format("\\x{:02x}", static_cast<uint8_t>(text[at]))
                             : is_control(character.code) || is_unseen(character.code)
                                 ? escaped(character.code)
                                 : std::string(text.substr(at, length));
    if (shown.size() + next.size() > max_bytes)
      return shown + fmt::format("… ({} bytes)", text.size());
    shown += next;
    at += length;
  }
  return shown;
}

}  // namespace vitrail
