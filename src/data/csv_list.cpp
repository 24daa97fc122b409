// A table of pictures: a CSV whose first line names the columns path, label and perhaps split.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "core/error.h"
#include "core/printable.h"
#include "data/listed_pictures.h"
#include "data/split_names.h"
#include "formats/csv.h"
#include "formats/mapped_file.h"

namespace vitrail {
namespace {

// Where the columns stand, by the first row.
struct Columns {
  size_t path = 0, label = 0;
  std::optional<size_t> split;
};

Columns columns_of(const std::vector<std::string>& names, const std::string& list) {
  const auto column = [&](const char* name) -> std::optional<size_t> {
    const auto found = std::ranges::find(names, name);
    if (found == names.end()) return std::nullopt;
    check(std::find(found + 1, names.end(), name) == names.end(), "data",
          "{} line 1: names the column {} twice", list, name);
    return static_cast<size_t>(found - names.begin());
  };
  const auto path = column("path"), label = column("label");
  check(path && label, "data",
        "{}: the first line names no column {}; it names {}, separated by commas", list,
        path ? "label" : "path", named(names, 8));
  return {*path, *label, column("split")};
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
  const MappedFile file(pictures.manifest().file);
  check(file.bytes().size() <= kMaxCsvBytes, "data", "{}: has {} bytes, above the limit of {}",
        list, file.bytes().size(), kMaxCsvBytes);
  std::optional<Columns> columns;
  const auto take = [&](const CsvRow& row) {
    if (!columns) {
      columns = columns_of(row.fields, list);
      return;
    }
    ListedPicture picture{row.fields[columns->path], row.fields[columns->label], Split::all,
                          fmt::format("line {}", row.line)};
    check(!picture.label.empty(), "data", "{} {}: '{}' has no label", list, picture.place,
          printable(picture.path));
    if (columns->split)
      picture.split =
          split_in(row.fields[*columns->split], fmt::format("{} {}", list, picture.place));
    pictures.add(std::move(picture));
  };
  const auto* text = reinterpret_cast<const char*>(file.bytes().data());
  for_each_csv_row({text, file.bytes().size()}, list, take);
  check(columns.has_value(), "data",
        "{}: is empty; its first line is to name the columns path and label", list);
  return std::move(pictures).source(spec);
}

}  // namespace vitrail
