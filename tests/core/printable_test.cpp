#include "core/printable.h"

#include <gtest/gtest.h>

namespace vitrail {
namespace {

TEST(Printable, LeavesWordsOfEveryScriptAlone) {
  for (const char* text : {"", "cat.jpg", "caf\xc3\xa9", "猫", "кот", "🐈", "a\\b 'c' \"d\""})
    EXPECT_EQ(printable(text), text);
}

TEST(Printable, EscapesWhatATerminalObeys) {
  EXPECT_EQ(printable("\x1b[2J\x1b]0;x\x07"), "\\x1b[2J\\x1b]0;x\\x07");
  EXPECT_EQ(printable("a\r\nvitrail: fine\t"), "a\\r\\nvitrail: fine\\t");
  EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(printable("\x7f"), "\\x7f");
  EXPECT_EQ(printable("\xc2\x9b"
                      "2J"),
            "\\x9b2J");  // C1's own form of ESC [
}

TEST(Printable, EscapesMarksThatHideOrTurnText) {
  EXPECT_EQ(printable("exe.\xe2\x80\xaegpj"), "exe.\\u202egpj");
  EXPECT_EQ(printable("\xe2\x81\xa6x\xe2\x81\xa9"), "\\u2066x\\u2069");
  EXPECT_EQ(printable("\xd8\x9c"), "\\u061c");
  EXPECT_EQ(printable("\xef\xbb\xbf"
                      "cat"),
            "\\ufeffcat");
  EXPECT_EQ(printable("c\xe2\x80\x8b"
                      "at\xc2\xad"),
            "c\\u200bat\\xad");
  EXPECT_EQ(printable("a\xe2\x80\xa8"
                      "b"),
            "a\\u2028b");
  EXPECT_EQ(printable("\xf3\xa0\x81\x81"), "\\U000e0041");  // a tag character
}

TEST(Printable, ShowsBytesThatAreNotUtf8) {
  EXPECT_EQ(printable("caf\xe9"), "caf\\xe9");
  EXPECT_EQ(printable("\xc0\x80"), "\\xc0\\x80");                    // overlong
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");           // a surrogate
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");  // beyond U+10FFFF
  EXPECT_EQ(printable("\xe2\x82"), "\\xe2\\x82");                    // cut short
}

TEST(Printable, CutsBetweenCharactersAndSaysSo) {
  EXPECT_EQ(printable("abcdef", 6), "abcdef");
  EXPECT_EQ(printable("abcdefg", 6), "abcdef… (7 bytes)");
  EXPECT_EQ(printable("ab\xc3\xa9", 3), "ab… (4 bytes)");
  EXPECT_EQ(printable("ab\x1b", 5), "ab… (3 bytes)");
  const std::string shown = printable(std::string(100000, 'x'));
  EXPECT_EQ(shown, std::string(200, 'x') + "… (100000 bytes)");
}

TEST(Printable, ALongLineKeepsItsEnds) {
  EXPECT_EQ(printable_line("short\n"), "short\\n");
  const std::string line =
      printable_line("[model] " + std::string(100000, 'x') + "; say --set y=...");
  EXPECT_LT(line.size(), 8100U);
  EXPECT_TRUE(line.starts_with("[model] xxx"));
  EXPECT_TRUE(line.ends_with("; say --set y=..."));
  EXPECT_NE(line.find("(100025 bytes)"), std::string::npos);
  std::string scripts;
  while (scripts.size() < 20000) scripts += "猫";
  EXPECT_EQ(printable_line(scripts).find("\\x"), std::string::npos) << "cut within a character";
}

TEST(Printable, JsonKeepsItsMeaning) {
  EXPECT_EQ(printable_json(R"({"a":"猫 \u001b é"})"), R"({"a":"猫 \u001b é"})");
  EXPECT_EQ(printable_json("\"\xe2\x80\xae\xc2\x9b\x7f\""), R"("\u202e\u009b\u007f")");
  EXPECT_EQ(printable_json("\"\xf3\xa0\x81\x81\""), R"("\udb40\udc41")");
}

}  // namespace
}  // namespace vitrail
