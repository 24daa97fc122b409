#include "formats/json_lists.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "formats/file_helpers.h"

namespace vitrail {
namespace {

using testing::TemporaryFolder;
using Elements = std::vector<Json>;

struct Read {
  Elements a, b;
  std::set<std::string> found;
};

Read read(std::string_view text) {
  Read result;
  result.found = parse_json_lists(text, "coco.json",
                                  {{"a", [&](const Json& json) { result.a.push_back(json); }},
                                   {"b", [&](const Json& json) { result.b.push_back(json); }}});
  return result;
}

TEST(JsonLists, ElementsOfWantedListsInOrder) {
  const Read all = read(R"({"info": {"a": [1], "n": null}, "b": [], "x": [[{"b": 7}], {}],
                            "a": [1, "two", {"k": [1, {"a": 2}], "k": 3}, [[], {}], null]})");
  EXPECT_EQ(all.a, (Elements{1, "two", {{"k", 3}}, Json::parse("[[],{}]"), nullptr}));
  EXPECT_TRUE(all.b.empty());
  EXPECT_EQ(all.found, (std::set<std::string>{"a", "b"}));
  EXPECT_TRUE(read("{}").found.empty());
}

TEST(JsonLists, RefusesOtherForms) {
  EXPECT_ERROR(read("[1, 2]"), "coco.json: must be a JSON object");
  EXPECT_ERROR(read("3"), "must be a JSON object");
  EXPECT_ERROR(read(R"({"a": {}})"), "'a' is no list");
  EXPECT_ERROR(read(R"({"a": 1})"), "'a' is no list");
  EXPECT_ERROR(read(R"({"a": [], "a": []})"), "has 'a' twice");
  EXPECT_ERROR(read("{\"a\": [1,\n2,]}"), "line 2, column 3");
  EXPECT_ERROR(read(R"({"a": [1]} {)"), "not JSON");
  EXPECT_ERROR(read(R"({"a": [1e999]})"), "beyond what a double can hold");
  EXPECT_ERROR(read(R"({"a": [)"), "where it ends");
  const TemporaryFolder folder;
  testing::write_text(folder / "utf16.json", std::string("\xff\xfe{\0}\0", 6));
  EXPECT_ERROR(read_json_lists(folder / "utf16.json", {}), "UTF-16");
}

// An element is bounded; the file is not, since none of it is kept.
TEST(JsonLists, BudgetsAreOfAnElement) {
  std::string many = R"({"a": [0)", deep = R"({"a": [)", other = R"({"c": )";
  for (size_t i = 0; i < 2 * kListElement.values; ++i) many += ",[]";
  size_t count = 0;
  parse_json_lists(many + "]}", "t", {{"a", [&](const Json&) { ++count; }}});
  EXPECT_EQ(count, 2 * kListElement.values + 1);
  EXPECT_ERROR(read(R"({"a": [[0)" + many.substr(8) + "]]}"), "holds more than 200000 values");
  deep += std::string(100'000, '[') + std::string(100'000, ']') + "]}";
  EXPECT_ERROR(read(deep), "nested deeper than 32 levels");
  // What nobody asked for is passed over, however deep.
  other += std::string(100'000, '[') + std::string(100'000, ']') + "}";
  EXPECT_TRUE(read(other).found.empty());
}

}  // namespace
}  // namespace vitrail
