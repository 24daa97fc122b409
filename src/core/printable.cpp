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

std::string printable_line(std::string_view text) {
  constexpr size_t kWhole = 8000, kHead = 6000, kTail = 1500, kLongest = 2 * kWhole;
  if (text.size() <= kWhole) return printable(text, kLongest);
  std::string_view head = text.substr(0, kHead), tail = text.substr(text.size() - kTail);
  const auto continues = [](char c) { return (static_cast<uint8_t>(c) & 0xc0) == 0x80; };
  while (!head.empty() && continues(text[head.size()])) head.remove_suffix(1);
  while (!tail.empty() && continues(tail.front())) tail.remove_prefix(1);
  return printable(head, kLongest) + fmt::format("… ({} bytes) …", text.size()) +
         printable(tail, kLongest);
}

std::string printable_json(std::string_view json) {
  constexpr uint32_t kBeyondBasic = 0x10000;
  std::string shown;
  shown.reserve(json.size());
  for (size_t at = 0; at < json.size();) {
    const Utf8Character character = decode_utf8(json.substr(at));
    const size_t length = character.bytes > 0 ? character.bytes : 1;
    const uint32_t code = character.code;
    if (character.bytes == 0 ||
        !(code == 0x7f || (code >= 0x80 && is_control(code)) || is_unseen(code))) {
      shown += json.substr(at, length);
    } else if (code < kBeyondBasic) {
      shown += fmt::format("\\u{:04x}", code);
    } else {  // a pair of surrogates
      shown += fmt::format("\\u{:04x}\\u{:04x}", 0xd800 + ((code - kBeyondBasic) >> 10),
                           0xdc00 + ((code - kBeyondBasic) & 0x3ff));
    }
    at += length;
  }
  return shown;
}

}  // namespace vitrail
