#include "infer/labels.h"

#include <gtest/gtest.h>

#include <fstream>

#include "support/errors.h"
#include "support/temporary_folder.h"

namespace vitrail {
namespace {

using testing::TemporaryFolder;
using Names = std::vector<std::optional<std::string>>;
using namespace std::string_literals;

ClassLabels labels_in(const std::string& bytes, int64_t count) {
  const TemporaryFolder folder;
  std::ofstream(folder / "labels", std::ios::binary) << bytes;
  return read_labels(folder / "labels", count);
}

TEST(Labels, FormsOfAFile) {
  const Names right{"cat", std::nullopt, "caf\xc3\xa9"};
  EXPECT_EQ(labels_in("cat\n\ncaf\xc3\xa9\n", 3).names, right);
  EXPECT_EQ(labels_in("cat\r\n\r\ncaf\xc3\xa9", 3).names, right);
  EXPECT_EQ(labels_in("[\"cat\", null, \"caf\\u00e9\"]", 3).names, right);
  EXPECT_EQ(labels_in(R"({"2": "café", "0": "cat", "1": null})", 3).names, right);
  EXPECT_EQ(labels_in(R"({"id2label": {"0": "cat", "1": null, "2": "café"}})", 3).names, right);
  const ClassLabels wordnet = labels_in(R"({"0": ["n01440764", "tench"]})", 1);
  EXPECT_EQ(wordnet.names, Names{"tench"});
  EXPECT_EQ(wordnet.wnids, std::vector<std::string>{"n01440764"});
}

// As Windows' editors save them: the mark is no part of the first class's name.
TEST(Labels, AByteOrderMarkIsNoName) {
  const std::string mark = "\xef\xbb\xbf";
  EXPECT_EQ(labels_in(mark + "cat\r\ndog\r\n", 2).names, (Names{"cat", "dog"}));
  EXPECT_EQ(labels_in(mark + "[\"cat\"]", 1).names, Names{"cat"});
  EXPECT_EQ(labels_in(mark + "{\"0\": \"cat\"}", 1).names, Names{"cat"});
}

TEST(Labels, OtherTextIsRefusedByName) {
  EXPECT_ERROR(labels_in("\xff\xfe"s + "c\0a\0t\0"s, 1), "is UTF-16");
  EXPECT_ERROR(labels_in("caf\xe9\n", 1), "line 1 has the byte 0xe9");
  EXPECT_ERROR(labels_in("cat\0dog\n"s, 1), "NUL");
  EXPECT_ERROR(labels_in("", 1), "the file is empty");
  EXPECT_ERROR(labels_in("\xef\xbb\xbf\n", 1), "the file is empty");
  EXPECT_ERROR(labels_in("cat\ndog\n", 3), "names 2 classes, and the model has 3");
  EXPECT_ERROR(labels_in(R"({"\u001b[2J": "cat"})", 1), "'\\x1b[2J' is not the index");
  EXPECT_ERROR(labels_in(R"({"0": "a", "0": "b", "00": "c"})", 2), "names class 0 twice");
}

}  // namespace
}  // namespace vitrail
