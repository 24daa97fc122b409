// Comma-separated values as RFC 4180 has them: a quoted field may hold commas, line ends and
// doubled quotes. A byte-order mark and carriage returns before line ends are skipped.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail {

inline constexpr uint64_t kMaxCsvBytes = uint64_t{1} << 30;
inline constexpr size_t kMaxCsvColumns = 10'000;
inline constexpr size_t kMaxCsvFieldBytes = 1 << 20;

// Tells one row of fields after another; empty lines are left out. What it holds at a time is one
// row, so a table of a million pictures costs what the caller keeps of it. `row` lasts until the
// next one. `place` names the text in messages. Error: no text (formats/text_file.h), a quote that
// never ends or stands in the middle of a field, a row with more or fewer fields than the first
// (the line is named); what `visit` throws.
struct CsvRow {
  int64_t line = 0;  // at which it begins, from 1
  const std::vector<std::string>& fields;
};
void for_each_csv_row(std::string_view text, const std::string& place,
                      const std::function<void(const CsvRow& row)>& visit);

}  // namespace vitrail
