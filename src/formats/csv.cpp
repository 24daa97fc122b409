#include "formats/csv.h"

#include "core/error.h"

namespace vitrail {

std::vector<std::vector<std::string>> parse_csv(std::string_view text, const std::string& place) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> row;
  std::string field;
  int64_t line = 1, row_line = 1;
  bool was_quoted = false;
  const auto end_field = [&] {
    check(row.size() < kMaxCsvColumns, "csv", "{} line {}: more than {} columns", place, row_line,
          kMaxCsvColumns);
    row.push_back(std::move(field));
    field.clear();
    was_quoted = false;
  };
  const auto end_row = [&] {
    const bool empty = row.empty() && field.empty() && !was_quoted;
    if (!empty) {
      end_field();
      check(rows.empty() || row.size() == rows[0].size(), "csv",
            "{} line {}: {} fields, and the first row has {}", place, row_line, row.size(),
            rows.empty() ? 0 : rows[0].size());
      rows.push_back(std::move(row));
    }
    row.clear();
    row_line = line;
  };
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') {
      check(field.empty() && !was_quoted, "csv", "{} line {}: a quote within a field", place, line);
      was_quoted = true;
      for (++i;; ++i) {
        check(i < text.size(), "csv", "{} line {}: a quote that never ends", place, row_line);
        if (text[i] == '"') {
          if (i + 1 >= text.size() || text[i + 1] != '"') break;
          ++i;
        }
        line += text[i] == '\n';
        field += text[i];
      }
    } else if (c == ',') {
      end_field();
    } else if (c == '\n') {
      ++line;
      end_row();
    } else if (c != '\r' || (i + 1 < text.size() && text[i + 1] != '\n')) {
      check(!was_quoted, "csv", "{} line {}: text behind a quoted field", place, line);
      field += c;
    }
  }
  end_row();
  return rows;
}

}  // namespace vitrail
