#include "formats/text_file.h"

#include <algorithm>

#include "core/error.h"
#include "core/file.h"
#include "core/utf8.h"

namespace vitrail {
namespace {

using namespace std::string_view_literals;

struct Mark {
  std::string_view bytes;
  const char* encoding;
};
// UTF-32's little-endian mark begins like UTF-16's.
constexpr Mark kMarks[] = {{"\xff\xfe\0\0"sv, "UTF-32"},
                           {"\0\0\xfe\xff"sv, "UTF-32"},
                           {"\xff\xfe"sv, "UTF-16"},
                           {"\xfe\xff"sv, "UTF-16"}};
constexpr std::string_view kUtf8Mark = "\xef\xbb\xbf";

// Where zeros stand among the first bytes of a text without a mark that begins with ASCII
// (RFC 4627, section 3). Nothing: they do not stand so.
const char* encoding_by_zeros(std::string_view bytes) {
  std::string zeros;
  for (const char c : bytes.substr(0, 4)) zeros += c == '\0' ? '0' : 'x';
  if (zeros == "x000" || zeros == "000x") return "UTF-32";
  if (zeros == "x0x0" || zeros == "0x0x" || zeros == "x0" || zeros == "0x") return "UTF-16";
  return nullptr;
}

int64_t line_at(std::string_view text, size_t byte) {
  return std::ranges::count(text.substr(0, byte), '\n') + 1;
}

[[noreturn]] void refuse_encoding(const std::string& place, const char* encoding) {
  fail("text", "{}: is {}; text is read as UTF-8, so save it as that", place, encoding);
}

}  // namespace

std::string_view checked_text(std::string_view bytes, const std::string& place) {
  for (const auto& [mark, encoding] : kMarks)
    if (bytes.starts_with(mark)) refuse_encoding(place, encoding);
  if (const char* encoding = encoding_by_zeros(bytes)) refuse_encoding(place, encoding);
  std::string_view text = bytes;
  if (text.starts_with(kUtf8Mark)) text.remove_prefix(kUtf8Mark.size());
  if (const size_t nul = text.find('\0'); nul != std::string_view::npos)
    fail("text", "{}: has a NUL byte in line {}: not a text file, or a damaged one", place,
         line_at(text, nul));
  if (const size_t valid = valid_utf8_bytes(text); valid < text.size())
    fail("text", "{}: is not UTF-8: line {} has the byte 0x{:02x}; save it as UTF-8", place,
         line_at(text, valid), static_cast<uint8_t>(text[valid]));
  return text;
}

std::string read_text_file(const std::filesystem::path& path, uint64_t max_bytes) {
  const std::vector<std::byte> bytes = read_file(path, max_bytes);
  return std::string(
      checked_text({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path.string()));
}

std::string_view take_line(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

}  // namespace vitrail
