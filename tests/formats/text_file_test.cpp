#include "formats/text_file.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "formats/csv.h"
#include "formats/file_helpers.h"
#include "formats/json.h"

namespace vitrail {
namespace {

using testing::TemporaryFolder;
using namespace std::string_literals;

// ASCII as UTF-16 and UTF-32 have it, without a mark.
std::string wide(const std::string& text, size_t width, bool big_endian) {
  std::string out;
  for (const char c : text) {
    std::string unit(width, '\0');
    unit[big_endian ? width - 1 : 0] = c;
    out += unit;
  }
  return out;
}

TEST(TextFile, AMarkIsTakenOff) {
  const TemporaryFolder folder;
  const std::string mark = "\xef\xbb\xbf";
  for (const std::string& text : {""s, "a"s, "caf\xc3\xa9\n"s, mark + "twice"}) {
    testing::write_text(folder / "t", mark + text);
    EXPECT_EQ(read_text_file(folder / "t"), text);
    if (!text.starts_with(mark)) {
      EXPECT_EQ(checked_text(text, "t"), text);
    }
  }
  EXPECT_EQ(parse_json(mark + "{\"a\": 1}", "t")["a"], 1);
  for_each_csv_row(mark + "path", "t", [](const CsvRow& row) { EXPECT_EQ(row.fields[0], "path"); });
}

TEST(TextFile, OtherEncodingsAreRefusedByName) {
  for (const std::string& text : {"a"s, "ab"s, "[1, 2]"s, "path,label\n"s}) {
    for (const bool big : {false, true}) {
      const std::string mark16 = big ? "\xfe\xff" : "\xff\xfe";
      const std::string mark32 = big ? "\0\0\xfe\xff"s : "\xff\xfe\0\0"s;
      EXPECT_ERROR(checked_text(mark16 + wide(text, 2, big), "t"), "t: is UTF-16");
      EXPECT_ERROR(checked_text(mark32 + wide(text, 4, big), "t"), "t: is UTF-32");
      EXPECT_ERROR(checked_text(wide(text, 2, big), "t"), "t: is UTF-16");
      EXPECT_ERROR(checked_text(wide(text, 4, big), "t"), "t: is UTF-32");
    }
  }
  EXPECT_ERROR(checked_text("\xff\xfe", "t"), "UTF-16");  // a mark alone
  EXPECT_ERROR(checked_text("a\nb\ncaf\xe9\n", "t"), "line 3 has the byte 0xe9");
  for (const char* broken : {"\x80", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "ab\xe2\x82"})
    EXPECT_ERROR(checked_text(broken, "t"), "is not UTF-8");
  EXPECT_NO_THROW(checked_text("\xf4\x8f\xbf\xbf \xe2\x82\xac and eight more bytes \xc3\xa9", "t"));
}

TEST(TextFile, ANulIsRefusedWhereverItStands) {
  EXPECT_ERROR(checked_text("{\"a\": 1}\0junk"s, "t"), "NUL byte in line 1");
  EXPECT_ERROR(checked_text("one\ntwo\n\0"s, "t"), "NUL byte in line 3");
  EXPECT_ERROR(checked_text("abcde\0"s, "t"), "NUL");
  EXPECT_ERROR(checked_text("\0"s, "t"), "NUL");
  EXPECT_ERROR(parse_json("{\"a\": 1}\0{\"a\": 2}"s, "t"), "NUL");
  EXPECT_ERROR(parse_json("{\"a\": 1}\0"s, "t"), "NUL");
  EXPECT_ERROR(for_each_csv_row("path,label\na.png,0\n\0b.png,1"s, "t", [](const CsvRow&) {}),
               "NUL byte in line 3");
  // Written as an escape it is a character like any other.
  EXPECT_EQ(parse_json("\"\\u0000\"", "t").get<std::string>(), "\0"s);
}

TEST(TextFile, IsAFileWithinItsLimit) {
  const TemporaryFolder folder;
  testing::write_text(folder / "t", "12345");
  EXPECT_EQ(read_text_file(folder / "t", 5), "12345");
  EXPECT_ERROR(read_text_file(folder / "t", 4), "above the limit of 4");
  EXPECT_ERROR(read_text_file(folder / "none"), "no such file");
  EXPECT_ERROR(read_text_file(folder.path()), "directory");
}

TEST(TextFile, Lines) {
  const auto lines = [](std::string_view text) {
    std::vector<std::string> found;
    while (!text.empty()) found.emplace_back(take_line(text));
    return found;
  };
  using Lines = std::vector<std::string>;
  EXPECT_EQ(lines("a\nb"), (Lines{"a", "b"}));
  EXPECT_EQ(lines("a\r\n\nb\n"), (Lines{"a", "", "b"}));
  EXPECT_EQ(lines("\n"), (Lines{""}));
  EXPECT_EQ(lines(""), Lines{});
}

}  // namespace
}  // namespace vitrail
