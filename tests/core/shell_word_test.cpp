#include "core/shell_word.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>

namespace vitrail {
namespace {

// What bash makes of the word.
std::string read_back(const std::string& word) {
  const std::string command = "exec bash -c " + std::string("'printf %s \"$@\"' bash ") + word;
  FILE* pipe = popen(command.c_str(), "r");
  std::string text;
  std::array<char, 256> buffer{};
  for (size_t got = 0; (got = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;)
    text.append(buffer.data(), got);
  pclose(pipe);
  return text;
}

TEST(ShellWord, PlainWordsStayAsTheyAre) {
  for (const char* word : {"runs/mine", "folder:photos", "--size=384x224", "owner/name@v1.0"})
    EXPECT_EQ(shell_word(word), word);
}

TEST(ShellWord, EveryOtherIsQuoted) {
  EXPECT_EQ(shell_word(""), "''");
  EXPECT_EQ(shell_word("my photos"), "'my photos'");
  EXPECT_EQ(shell_word("it's"), "'it'\\''s'");
  EXPECT_EQ(shell_word("a\x1b[2J"), "$'a\\x1b[2J'");
  EXPECT_EQ(shell_word("\xff'\\"), "$'\\xff\\'\\\\'");
}

TEST(ShellWord, AShellReadsItBack) {
  for (const char* word : {"a b", "it's", "$HOME", "`id`", "*", "a\"b", "猫 1", "#", "!x", "~"})
    EXPECT_EQ(read_back(shell_word(word)), word);
}

}  // namespace
}  // namespace vitrail
