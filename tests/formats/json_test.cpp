#include "formats/json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "formats/file_helpers.h"

namespace vitrail {
namespace {

using testing::TemporaryFolder;

TEST(Json, NamesTheLineAndColumn) {
  EXPECT_ERROR(parse_json("{\n  \"a\": 1,\n  \"b\" 2\n}", "config.json"), "line 3, column 7");
  EXPECT_ERROR(parse_json("{\"a\":", "config.json"), "where it ends");
  EXPECT_ERROR(parse_json("", "config.json"), "where it ends");
  EXPECT_ERROR(parse_json("{\"a\": NaN}", "config.json"), "line 1, column 7");
  EXPECT_ERROR(parse_json("{\"a\": \"\xff\"}", "config.json"), "is not UTF-8");
  EXPECT_ERROR(parse_json("1e999", "config.json"), "beyond what a double can hold");
}

TEST(Json, RefusesDepthAndSize) {
  for (const char* open : {"[", "{\"a\":"}) {
    std::string deep;
    for (int i = 0; i < 100'000; ++i) deep += open;
    EXPECT_ERROR(parse_json(deep, "config.json"), "nested deeper than 64 levels");
  }
  EXPECT_NO_THROW(parse_json(std::string(64, '[') + std::string(64, ']'), "x"));
  EXPECT_THROW(parse_json(std::string(65, '[') + std::string(65, ']'), "x"), Error);
  // Brackets inside strings do not nest.
  EXPECT_NO_THROW(
      parse_json("\"" + std::string(1000, '[') + "\\\"" + std::string(9, '{') + "\"", "x"));
  EXPECT_ERROR(parse_json("[1,2,3]", "x", {.bytes = 6, .depth = 2}), "above the limit of 6");
}

// A tree takes many times the bytes of its text; its values are counted while it grows.
TEST(Json, CountsValues) {
  EXPECT_NO_THROW(parse_json("[1,{\"a\":2}]", "x", {.values = 4}));
  EXPECT_ERROR(parse_json("[1,{\"a\":2}]", "x", {.values = 3}), "holds more than 3 values");
  std::string lists = "[0";
  for (int i = 0; i < 2'000'000; ++i) lists += ",[]";
  EXPECT_ERROR(parse_json(lists + "]", "config.json"),
               "config.json: holds more than 1000000 values");
  std::string again = "{\"a\":0";
  for (int i = 0; i < 2'000'000; ++i) again += ",\"a\":0";
  EXPECT_ERROR(parse_json(again + "}", "config.json"), "holds more than 1000000 values");
}

TEST(Json, NothingStandsBehindTheValue) {
  for (const char* text : {"{}{}", "{} 1", "[1]]", "{},", "1 2", "{}\x01", "{}/**/"})
    EXPECT_ERROR(parse_json(text, "config.json"), "is not JSON: line 1");
  EXPECT_NO_THROW(parse_json(" {} \r\n\t ", "config.json"));
}

TEST(Json, LinesOfALogMayBeTorn) {
  EXPECT_EQ(try_parse_json("{\"a\": 1}"), (Json{{"a", 1}}));
  EXPECT_FALSE(try_parse_json("{\"a\": "));
  EXPECT_FALSE(try_parse_json(std::string(100'000, '[') + std::string(100'000, ']')));
}

TEST(Json, LastOfADuplicatedKeyCounts) {
  EXPECT_EQ(get<int64_t>(parse_json("{\"a\":1,\"a\":2}", "x"), "a", "x"), 2);
}

TEST(Json, TypedFields) {
  const Json json = parse_json(
      R"({"i":3,"d":2.5,"b":true,"s":"text","n":null,"v":[1,2],"w":[1.5,2],"u":["a","b"],
          "big":18446744073709551615,"o":{}})",
      "x");
  EXPECT_EQ(get<int64_t>(json, "i", "x"), 3);
  EXPECT_EQ(get<double>(json, "d", "x"), 2.5);
  EXPECT_EQ(get<double>(json, "i", "x"), 3.0);
  EXPECT_TRUE(get<bool>(json, "b", "x"));
  EXPECT_EQ(get<std::string>(json, "s", "x"), "text");
  EXPECT_EQ(get<std::vector<int64_t>>(json, "v", "x"), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(get<std::vector<double>>(json, "w", "x"), (std::vector<double>{1.5, 2}));
  EXPECT_EQ(get<std::vector<std::string>>(json, "u", "x"), (std::vector<std::string>{"a", "b"}));
  EXPECT_FALSE(get_optional<int64_t>(json, "n", "x"));
  EXPECT_FALSE(get_optional<int64_t>(json, "absent", "x"));
  EXPECT_ERROR(get<int64_t>(json, "absent", "x"), "x: has no absent");
  EXPECT_ERROR(get<int64_t>(json, "n", "x"), "has no n");
  EXPECT_ERROR(get<int64_t>(json, "d", "x"), "d is 2.5, not a whole number");
  EXPECT_ERROR(get<int64_t>(json, "big", "x"), "not a whole number");
  EXPECT_ERROR(get<bool>(json, "i", "x"), "i is 3, not true or false");
  EXPECT_ERROR(get<std::string>(json, "o", "x"), "o is an object, not text");
  EXPECT_ERROR(get<double>(json, "s", "x"), "s is \"text\", not a number");
  EXPECT_ERROR(get<std::vector<int64_t>>(json, "w", "x"), "w is a list, not a list, each of it");
  EXPECT_ERROR(get<int64_t>(json["v"], "i", "x"), "not an object");
  EXPECT_EQ(get_in(json, "i", "x", {1, 3}), 3);
  EXPECT_ERROR(get_in(json, "i", "x", {4, 9}), "i is 3, outside 4 to 9");
}

TEST(Json, FilesAreReadAndWritten) {
  const TemporaryFolder folder;
  write_json(folder / "a.json", Json{{"b", 1}, {"a", {1, 2}}});
  EXPECT_EQ(testing::read_text(folder / "a.json"),
            "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": 1\n}\n");
  EXPECT_EQ(read_json(folder / "a.json")["b"], 1);
  EXPECT_ERROR(read_json(folder / "none.json"), "no such file");
  EXPECT_ERROR(read_json(folder.path()), "directory");
  EXPECT_ERROR(write_json(folder / "no" / "a.json", Json()), "a.json");
  EXPECT_ERROR(write_json(folder / "b.json", Json{{"a", "\xff"}}), "not UTF-8");
  EXPECT_FALSE(std::filesystem::exists(folder / "b.json"));
}

}  // namespace
}  // namespace vitrail
