#include "formats/csv.h"

#include "core/error.h"
#include "formats/text_file.h"

namespace vitrail {

namespace {

// One row at a time; the strings of its fields are used again for the next.
class CsvParser {
 public:
  CsvParser(std::string_view text, const std::string& place,
            const std::function<void(const CsvRow&)>& visit)
      : text_(text), place_(place), visit_(visit) {}

  void run() {
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c == '"') {
        quoted();
      } else if (c == ',') {
        end_field();
      } else if (c == '\n') {
        ++line_;
        end_row();
      } else if (c != '\r' || (at_ < text_.size() && text_[at_] != '\n')) {
        check(!was_quoted_, "csv", "{} line {}: text behind a quoted field", place_, line_);
        add(c);
      }
    }
    end_row();
  }

 private:
  void add(char c) {
    check(field_.size() < kMaxCsvFieldBytes, "csv", "{} line {}: a field of more than {} bytes",
          place_, row_line_, kMaxCsvFieldBytes);
    field_ += c;
  }
  void quoted() {
    check(field_.empty() && !was_quoted_, "csv", "{} line {}: a quote within a field", place_,
          line_);
    was_quoted_ = true;
    for (;; ++at_) {
      check(at_ < text_.size(), "csv", "{} line {}: a quote that never ends", place_, row_line_);
      if (text_[at_] == '"') {
        if (at_ + 1 >= text_.size() || text_[at_ + 1] != '"') break;
        ++at_;
      }
      line_ += text_[at_] == '\n';
      add(text_[at_]);
    }
    ++at_;
  }
  void end_field() {
    check(count_ < kMaxCsvColumns, "csv", "{} line {}: more than {} columns", place_, row_line_,
          kMaxCsvColumns);
    if (count_ == row_.size()) row_.emplace_back();
    row_[count_++].swap(field_);
    field_.clear();
    was_quoted_ = false;
  }
  void end_row() {
    const bool empty = count_ == 0 && field_.empty() && !was_quoted_;
    if (!empty) {
      end_field();
      check(columns_ == 0 || count_ == columns_, "csv",
            "{} line {}: {} fields, and the first row has {}", place_, row_line_, count_, columns_);
      columns_ = count_;
      row_.resize(columns_);
      visit_({.line = row_line_, .fields = row_});
    }
    count_ = 0;
    row_line_ = line_;
  }

  const std::string_view text_;
  const std::string& place_;
  const std::function<void(const CsvRow&)>& visit_;
  size_t at_ = 0;
  std::vector<std::string> row_;
  size_t count_ = 0, columns_ = 0;  // fields of this row so far; of every row, once there is one
  std::string field_;
  bool was_quoted_ = false;
  int64_t line_ = 1, row_line_ = 1;
};

}  // namespace

void for_each_csv_row(std::string_view text, const std::string& place,
                      const std::function<void(const CsvRow& row)>& visit) {
  CsvParser(checked_text(text, place), place, visit).run();
}

}  // namespace vitrail
