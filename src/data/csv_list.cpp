// A table of pictures: a CSV whose first line names the columns path, label and perhaps split; or
// labels instead of label, where a picture may have several classes or none: "cat|dog".
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "core/error.h"
#include "core/file.h"
#include "core/printable.h"
#include "data/listed_pictures.h"
#include "data/split_names.h"
#include "formats/csv.h"

namespace vitrail {
namespace {

// Where the columns stand, by the first row.
struct Columns {
  size_t path = 0, label = 0;
  bool several = false;  // the column of labels is called so
  std::optional<size_t> split;
};

// Cells of several classes, separated by | or by ;, whichever the table uses.
class SeveralClasses {
 public:
  explicit SeveralClasses(const std::string& list) : list_(list) {}

  std::vector<std::string> in(const std::string& cell, const std::string& place) {
    const bool bar = cell.find('|') != std::string::npos;
    const bool semicolon = cell.find(';') != std::string::npos;
    remember(bars_, bar, place);
    remember(semicolons_, semicolon, place);
    remember(commas_, cell.find(',') != std::string::npos, place);
    check(bars_.empty() || semicolons_.empty(), "data",
          "{}: {} holds | and {} holds ; in the column labels: one of them separates classes",
          list_, bars_, semicolons_);
    std::vector<std::string> names;
    const char separator = bar ? '|' : ';';
    for (size_t begin = 0; begin <= cell.size();) {
      const size_t end = std::min(cell.find(separator, begin), cell.size());
      names.push_back(trimmed(cell.substr(begin, end - begin)));
      begin = end + 1;
    }
    if (names.size() == 1 && names[0].empty()) return {};  // it shows none of them
    check(std::ranges::find(names, "") == names.end(), "data",
          "{} {}: '{}' has a class without a name", list_, place, printable(cell));
    return names;
  }

  // Commas are parts of names only where something else separates them.
  void finish() const {
    check(commas_.empty() || !bars_.empty() || !semicolons_.empty(), "data",
          "{} {}: the column labels holds commas, and classes are separated by | or ;", list_,
          commas_);
  }

 private:
  static void remember(std::string& first, bool found, const std::string& place) {
    if (found && first.empty()) first = place;
  }
  static std::string trimmed(const std::string& text) {
    const size_t begin = text.find_first_not_of(" \t");
    if (begin == std::string::npos) return "";
    return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
  }

  std::string list_;
  std::string bars_, semicolons_, commas_;  // where the first one stands
};

Columns columns_of(const std::vector<std::string>& names, const std::string& list) {
  const auto column = [&](const char* name) -> std::optional<size_t> {
    const auto found = std::ranges::find(names, name);
    if (found == names.end()) return std::nullopt;
    check(std::find(found + 1, names.end(), name) == names.end(), "data",
          "{} line 1: names the column {} twice", list, name);
    return static_cast<size_t>(found - names.begin());
  };
  const auto path = column("path"), one = column("label"), several = column("labels");
  check(
      !one || !several, "data",
      "{}: the first line names label, for one class a picture, and labels, for several; keep one",
      list);
  const auto label = one ? one : several;
  check(path && label, "data",
        "{}: the first line names no column {}; it names {}, separated by commas", list,
        path ? "label" : "path", named(names, 8));
  return {*path, *label, several.has_value(), column("split")};
}

Split split_in(const std::string& word, const std::string& place) {
  const auto split = read_split_name(word);
  check(split && split->rest.empty() && split->split != Split::all, "data",
        "{}: unknown split '{}'; known are {}", place, printable(word), kSplitWords);
  return split->split;
}

}  // namespace

std::unique_ptr<Source> csv_source(const SourceSpec& spec) {
  ListedPictures pictures(manifest_of(spec));
  const std::string list = printable(pictures.manifest().file.string());
  // Not mapped: a file that shrinks meanwhile must not end the process.
  const std::vector<std::byte> bytes = read_file(pictures.manifest().file, kMaxCsvBytes);
  std::optional<Columns> columns;
  SeveralClasses several(list);
  const auto take = [&](const CsvRow& row) {
    if (!columns) {
      columns = columns_of(row.fields, list);
      if (columns->several) pictures.expect_several();
      return;
    }
    ListedPicture picture{row.fields[columns->path], row.fields[columns->label], Split::all,
                          fmt::format("line {}", row.line)};
    if (columns->several) {
      picture.label = joined_classes(several.in(picture.label, picture.place));
    } else {
      check(!picture.label.empty(), "data", "{} {}: '{}' has no label", list, picture.place,
            printable(picture.path));
      check(picture.label.find_first_of("|;") == std::string::npos, "data",
            "{} {}: '{}' looks like several classes; where pictures have several, call the column "
            "labels, and where it is one, write it without | and ;",
            list, picture.place, printable(picture.label));
    }
    if (columns->split)
      picture.split =
          split_in(row.fields[*columns->split], fmt::format("{} {}", list, picture.place));
    pictures.add(std::move(picture));
  };
  for_each_csv_row({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, list, take);
  several.finish();
  check(columns.has_value(), "data",
        "{}: is empty; its first line is to name the columns path and label", list);
  return std::move(pictures).source(spec);
}

}  // namespace vitrail
