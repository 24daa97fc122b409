// Any bytes as a text file: refused with an Error, or UTF-8 without a NUL, whose lines are all of
// it.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/error.h"
#include "core/utf8.h"
#include "formats/text_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    const std::string_view text = vitrail::checked_text(bytes, "fuzz");
    if (text.find('\0') != std::string_view::npos || !bytes.ends_with(text)) std::abort();
    size_t at = 0;
    while (at < text.size()) {
      const size_t length = vitrail::decode_utf8(text.substr(at)).bytes;
      if (length == 0) std::abort();
      at += length;
    }
    std::string_view rest = text;
    size_t shown = 0;
    while (!rest.empty()) {
      const std::string_view line = vitrail::take_line(rest);
      if (line.find('\n') != std::string_view::npos) std::abort();
      shown += line.size();
    }
    if (shown > text.size()) std::abort();
  } catch (const vitrail::Error&) {
  }
  return 0;
}
