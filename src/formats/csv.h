// Comma-separated values as RFC 4180 has them: a quoted field may hold commas, line ends and
// doubled quotes. A byte-order mark and carriage returns before line ends are skipped.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail {

inline constexpr uint64_t kMaxCsvBytes = uint64_t{1} << 30;
inline constexpr size_t kMaxCsvColumns = 10'000;

// Rows of fields; empty lines are left out. `place` names the text in messages. Error: a quote that
// never ends or stands in the middle of a field, a row with more or fewer fields than the first
// (the line is named).
std::vector<std::vector<std::string>> parse_csv(std::string_view text, const std::string& place);

}  // namespace vitrail
