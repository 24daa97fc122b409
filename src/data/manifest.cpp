// Sets that a file lists: a CSV with the columns path, label and perhaps split, or a COCO-style
// JSON. The pictures lie in the file's folder, or in one that the spec names behind a comma;
// nothing outside of it is ever read.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "core/error.h"
#include "core/file.h"
#include "core/printable.h"
#include "data/labels.h"
#include "data/sources.h"
#include "formats/csv.h"
#include "formats/json.h"
#include "formats/json_lists.h"

namespace vitrail {
namespace {

namespace fs = std::filesystem;

struct Listed {
  std::string path, label;
  Split split = Split::all;
};

struct Manifest {
  fs::path file, folder;
};

Manifest manifest_of(const SourceSpec& spec) {
  check(!spec.arguments.empty(), "data", "{} needs a file, as in {}:FILE", spec.kind, spec.kind);
  std::error_code error;
  fs::path file = spec.arguments, folder;
  if (!fs::exists(file, error)) {
    const size_t comma = spec.arguments.rfind(',');
    if (comma != std::string::npos) {
      file = spec.arguments.substr(0, comma);
      folder = spec.arguments.substr(comma + 1);
      check(fs::is_directory(folder, error), "data", "{}: no such folder '{}'", spec.kind,
            folder.string());
    }
  }
  check(fs::is_regular_file(file, error), "data", "{}: no such file '{}'", spec.kind,
        file.string());
  if (folder.empty()) folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
  return {file, fs::canonical(folder)};
}

// Error: a path that leads, by itself or through a link, out of the folder.
void check_inside(const Manifest& manifest, const std::string& path) {
  const fs::path given = path;
  const bool plain = !path.empty() && path.find('\0') == std::string::npos &&
                     !given.is_absolute() &&
                     std::find(given.begin(), given.end(), fs::path("..")) == given.end();
  check(plain, "data",
        "{}: '{}' is outside of the folder '{}'; paths are relative to it, without ..",
        manifest.file.string(), path, manifest.folder.string());
  std::error_code error;
  const fs::path real = fs::canonical(manifest.folder / given, error);
  check(!error, "data", "{}: lists '{}', which does not exist in '{}'", manifest.file.string(),
        path, manifest.folder.string());
  const auto [end, ignored] =
      std::mismatch(manifest.folder.begin(), manifest.folder.end(), real.begin(), real.end());
  check(end == manifest.folder.end(), "data", "{}: '{}' is a link out of the folder '{}'",
        manifest.file.string(), path, manifest.folder.string());
}

class ManifestSource : public Source {
 public:
  ManifestSource(const SourceSpec& spec, Manifest manifest, std::vector<Listed> listed)
      : spec_(spec), manifest_(std::move(manifest)), listed_(std::move(listed)) {}

  std::vector<Split> splits() const override {
    std::vector<Split> found;
    for (const Split split : {Split::train, Split::val, Split::test})
      if (std::ranges::count(listed_, split, &Listed::split) > 0) found.push_back(split);
    if (found.empty()) found = {Split::all};
    return found;
  }

  std::unique_ptr<Dataset> open(Split split) const override {
    std::vector<std::string> names;
    for (const Listed& picture : listed_) names.push_back(picture.label);
    LabelSet labels = number_labels(names, spec_.name);  // of all splits together
    std::vector<PictureFile> files;
    for (size_t i = 0; i < listed_.size(); ++i) {
      if (split != Split::all && listed_[i].split != split) continue;
      check_inside(manifest_, listed_[i].path);
      files.push_back({listed_[i].path, labels.labels[i]});
    }
    check(!files.empty(), "data", "{} has no {} pictures", spec_.name, name_of(split));
    return file_dataset(spec_, manifest_.folder, std::move(labels.classes), std::move(files));
  }

 private:
  SourceSpec spec_;
  Manifest manifest_;
  std::vector<Listed> listed_;
};

// Where the columns stand, by the first row.
struct Columns {
  size_t path = 0, label = 0;
  std::optional<size_t> split;
};

Columns columns_of(const std::vector<std::string>& names, const std::string& place) {
  const auto column = [&](const char* name) -> std::optional<size_t> {
    const auto found = std::ranges::find(names, name);
    if (found == names.end()) return std::nullopt;
    return static_cast<size_t>(found - names.begin());
  };
  const auto path = column("path"), label = column("label");
  check(path && label, "data", "{}: the first line names no column {}", place,
        path ? "label" : "path");
  return {*path, *label, column("split")};
}

std::vector<Listed> listed_in_csv(const Manifest& manifest) {
  const std::string place = manifest.file.string();
  // Not mapped: a file that shrinks meanwhile must not end the process.
  const std::vector<std::byte> bytes = read_file(manifest.file, kMaxCsvBytes);
  std::optional<Columns> columns;
  std::vector<Listed> listed;
  const auto take = [&](const CsvRow& row) {
    if (!columns) {
      columns = columns_of(row.fields, place);
      return;
    }
    const std::string& path = row.fields[columns->path];
    const std::string& label = row.fields[columns->label];
    check(!label.empty(), "data", "{}: '{}' has no label", place, printable(path));
    listed.push_back({path, label, Split::all});
    if (!columns->split) return;
    listed.back().split = split_of(row.fields[*columns->split]);
    check(listed.back().split != Split::all, "data",
          "{}: the split of '{}' is 'all'; it is train, val or test", place, printable(path));
  };
  for_each_csv_row({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, place, take);
  check(columns.has_value(), "data",
        "{}: is empty; its first line is to name the columns path and label", place);
  return listed;
}

// The area that an annotation covers, by its own word or its box.
double area_of(const Json& annotation, const std::string& place) {
  if (const auto area = get_optional<double>(annotation, "area", place)) return *area;
  const auto box = get_optional<std::vector<double>>(annotation, "bbox", place);
  return box && box->size() == 4 ? (*box)[2] * (*box)[3] : 1;
}

// A picture's class is the category that covers the most of it; of equal ones the smaller id.
// Pictures without annotations are left out. The lists may stand in any order.
std::vector<Listed> listed_in_coco(const Manifest& manifest) {
  const std::string place = manifest.file.string();
  std::map<int64_t, std::string> categories;
  std::map<int64_t, std::map<int64_t, double>> areas;  // picture, category
  std::vector<std::pair<int64_t, std::string>> pictures;
  const JsonListReaders readers{
      {"categories",
       [&](const Json& category) {
         categories[get<int64_t>(category, "id", place)] =
             get<std::string>(category, "name", place);
       }},
      {"annotations",
       [&](const Json& annotation) {
         const int64_t picture = get<int64_t>(annotation, "image_id", place);
         areas[picture][get<int64_t>(annotation, "category_id", place)] +=
             area_of(annotation, place);
       }},
      {"images", [&](const Json& image) {
         pictures.emplace_back(get<int64_t>(image, "id", place),
                               get<std::string>(image, "file_name", place));
       }}};
  const std::set<std::string> found = read_json_lists(manifest.file, readers);
  for (const char* name : {"categories", "annotations", "images"})
    check(found.contains(name), "data", "{}: has no list '{}'", place, name);
  for (const auto& [picture, covered] : areas)
    for (const auto& [category, area] : covered)
      check(categories.contains(category), "data",
            "{}: an annotation has the category {}, which is not listed", place, category);
  std::vector<Listed> listed;
  for (auto& [id, path] : pictures) {
    const auto covered = areas.find(id);
    if (covered == areas.end()) continue;
    const auto largest = std::ranges::max_element(covered->second, {},
                                                  [](const auto& entry) { return entry.second; });
    listed.push_back({std::move(path), categories.at(largest->first), Split::all});
  }
  return listed;
}

}  // namespace

std::unique_ptr<Source> csv_source(const SourceSpec& spec) {
  Manifest manifest = manifest_of(spec);
  std::vector<Listed> listed = listed_in_csv(manifest);
  return std::make_unique<ManifestSource>(spec, std::move(manifest), std::move(listed));
}
std::unique_ptr<Source> coco_source(const SourceSpec& spec) {
  Manifest manifest = manifest_of(spec);
  std::vector<Listed> listed = listed_in_coco(manifest);
  return std::make_unique<ManifestSource>(spec, std::move(manifest), std::move(listed));
}

}  // namespace vitrail
