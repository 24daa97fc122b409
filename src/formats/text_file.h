// Text files from strangers: labels, tables, JSON, what a hub's cache notes. One reader, so that
// every one of them says the same to the same mistake.
//
// A text is UTF-8, with or without a byte-order mark, which is taken off. UTF-16 and UTF-32 (as
// Windows' editors and spreadsheets save them) and other encodings are refused by name rather than
// read as something else; so is a NUL, behind which some readers would see nothing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace vitrail {

inline constexpr uint64_t kMaxTextBytes = uint64_t{16} << 20;

// The whole text. Error: missing, not a regular file, larger than max_bytes, or as checked_text.
std::string read_text_file(const std::filesystem::path& path, uint64_t max_bytes = kMaxTextBytes);

// The text in these bytes, without its byte-order mark: a part of them. `place` names it in
// messages. Error: UTF-16, UTF-32, a NUL, or another byte that is not UTF-8 (its line is named).
std::string_view checked_text(std::string_view bytes, const std::string& place);

// Takes the next line off the front of `text`, without its line end: \n, \r\n or the text's end.
// `text` must not be empty.
std::string_view take_line(std::string_view& text);

}  // namespace vitrail
