#include "core/printable.h"

#include <fmt/format.h>

#include <cstdint>

#include "core/utf8.h"

namespace vitrail {
namespace {

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
    const Utf8Character character = decode_utf8(text.substr(at));
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
