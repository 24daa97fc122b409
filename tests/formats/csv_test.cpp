#include "formats/csv.h"

#include <gtest/gtest.h>

#include "support/errors.h"

namespace vitrail {
namespace {

using Rows = std::vector<std::vector<std::string>>;

Rows rows_of(std::string_view text, std::vector<int64_t>* lines = nullptr) {
  Rows rows;
  for_each_csv_row(text, "t.csv", [&](const CsvRow& row) {
    rows.push_back(row.fields);
    if (lines) lines->push_back(row.line);
  });
  return rows;
}

TEST(Csv, RowsAsRfc4180HasThem) {
  EXPECT_EQ(rows_of("a,b\r\n1,2\r\n"), (Rows{{"a", "b"}, {"1", "2"}}));
  EXPECT_EQ(rows_of("\xef\xbb\xbf\"a\",\"b, \"\"c\"\"\nd\"\n\n,\n"),
            (Rows{{"a", "b, \"c\"\nd"}, {"", ""}}));
  EXPECT_EQ(rows_of("a\n\"\"\nlonger than before\nb"),
            (Rows{{"a"}, {""}, {"longer than before"}, {"b"}}));
  EXPECT_EQ(rows_of("a\rb,c"), (Rows{{"a\rb", "c"}}));
  EXPECT_TRUE(rows_of("\n\r\n").empty());
  std::vector<int64_t> lines;
  rows_of("a,b\n\n\"1\n2\",3\n4,5", &lines);
  EXPECT_EQ(lines, (std::vector<int64_t>{1, 3, 5}));
}

TEST(Csv, RefusesNamingTheLine) {
  EXPECT_ERROR(rows_of("a,b\n1,2\n3\n"), "t.csv line 3: 1 fields, and the first row has 2");
  EXPECT_ERROR(rows_of("a,b\n1,2,3"), "line 2: 3 fields");
  EXPECT_ERROR(rows_of("a\n\"b"), "line 2: a quote that never ends");
  EXPECT_ERROR(rows_of("a\nb\"c\""), "line 2: a quote within a field");
  EXPECT_ERROR(rows_of("\"a\"b"), "line 1: text behind a quoted field");
  EXPECT_ERROR(rows_of(std::string(kMaxCsvColumns, ',')), "more than 10000 columns");
  EXPECT_ERROR(rows_of("a\n" + std::string(kMaxCsvFieldBytes + 1, 'x')), "line 2: a field of more");
  EXPECT_ERROR(rows_of(std::string_view("a\0b", 3)), "NUL");
}

}  // namespace
}  // namespace vitrail
