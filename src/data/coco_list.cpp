// COCO's JSON as a list of pictures: a picture's class is the category that covers the most of it;
// of equal ones the smaller id. With labels=all its classes are all categories that it shows, and a
// picture without annotations shows none.
// Source: cocodataset.org, "Data format".
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "core/error.h"
#include "core/printable.h"
#include "data/listed_pictures.h"
#include "formats/json.h"
#include "formats/json_lists.h"

namespace vitrail {
namespace {

class CocoFile {
 public:
  explicit CocoFile(const Manifest& manifest)
      : path_(manifest.file), place_(printable(manifest.file.string())) {
    // The lists may stand in any order.
    const JsonListReaders readers{
        {"categories", [&](const Json& category) { read_category(category); }},
        {"annotations", [&](const Json& annotation) { read_annotation(annotation); }},
        {"images", [&](const Json& image) { read_image(image); }}};
    const std::set<std::string> found = read_json_lists(path_, readers);
    for (const char* name : {"categories", "annotations", "images"})
      check(found.contains(name), "data", "{}: has no list '{}'", place_, name);
    for (const auto& [picture, covered] : covered_)
      for (const auto& [category, area] : covered.areas)
        check(categories_.contains(category), "data",
              "{}: an annotation has the category {}, which is not listed", place_, category);
  }

  void list(ListedPictures& pictures, bool all) const {
    Intake& intake = pictures.intake();
    std::set<int64_t> used;
    for (const auto& [id, path] : images_) {
      const auto covered = covered_.find(id);
      if (all) {
        std::vector<std::string> names;
        if (covered != covered_.end())
          for (const auto& [category, area] : covered->second.areas) {
            used.insert(category);
            names.push_back(categories_.at(category));
          }
        pictures.add(
            {path, joined_classes(std::move(names)), Split::all, fmt::format("image {}", id)});
        continue;
      }
      if (covered == covered_.end()) {
        intake.leave_out(reasons::kUnannotated, path);
        continue;
      }
      const auto largest = std::ranges::max_element(covered->second.areas, {},
                                                    [](const auto& entry) { return entry.second; });
      used.insert(largest->first);
      pictures.add({path, categories_.at(largest->first), Split::all, fmt::format("image {}", id)});
    }
    for (const auto& [picture, covered] : covered_)
      if (!names_.contains(picture))
        intake.leave_out(reasons::kOrphan, fmt::format("image {}", picture), covered.annotations);
    std::vector<std::string> unused;
    for (const auto& [id, name] : categories_)
      if (!used.contains(id)) unused.push_back(name);
    if (!unused.empty())
      intake.note(fmt::format("{} no picture: {}",
                              counted(static_cast<int64_t>(unused.size()),
                                      all ? "category is in" : "category covers the most of",
                                      all ? "categories are in" : "categories cover the most of"),
                              named(unused)));
    if (crowds_ > 0)
      intake.note(counted(crowds_, "annotation of a crowd counts with its area",
                          "annotations of crowds count with their areas"));
    if (repeated_ > 0)
      intake.note(counted(repeated_, "element is listed twice with one id",
                          "elements are listed twice with one id"));
  }

 private:
  struct Covered {
    std::map<int64_t, double> areas;  // by category
    int64_t annotations = 0;
  };

  // False, and counted, when it is there already; a contradiction is refused.
  bool remember(std::map<int64_t, std::string>& known, int64_t id, std::string name,
                const char* kind) {
    const auto [at, is_new] = known.emplace(id, name);
    if (is_new) return true;
    check(at->second == name, "data", "{}: {} {} is '{}' and '{}'", place_, kind, id,
          printable(at->second), printable(name));
    ++repeated_;
    return false;
  }

  void read_category(const Json& category) {
    remember(categories_, get<int64_t>(category, "id", place_),
             get<std::string>(category, "name", place_), "category");
  }

  void read_image(const Json& image) {
    const int64_t id = get<int64_t>(image, "id", place_);
    auto name = get<std::string>(image, "file_name", place_);
    if (remember(names_, id, name, "image")) images_.emplace_back(id, std::move(name));
  }

  void read_annotation(const Json& annotation) {
    Covered& covered = covered_[get<int64_t>(annotation, "image_id", place_)];
    covered.areas[get<int64_t>(annotation, "category_id", place_)] += area_of(annotation);
    ++covered.annotations;
    const auto crowd = annotation.find("iscrowd");
    crowds_ += crowd != annotation.end() && (*crowd == 1 || *crowd == true);
  }

  // The area that an annotation covers: of its outline, or of its box where that area is missing
  // or 0, as exports of boxes alone have it. Without either each annotation counts 1.
  double area_of(const Json& annotation) const {
    const auto area = get_optional<double>(annotation, "area", place_);
    check(area.value_or(0) >= 0, "data", "{}: an annotation of image {} has the area {}", place_,
          get<int64_t>(annotation, "image_id", place_), area.value_or(0));
    if (area && *area > 0) return *area;
    const auto box = get_optional<std::vector<double>>(annotation, "bbox", place_);
    if (!box || box->empty()) return area.value_or(1);
    check(box->size() == 4 && (*box)[2] >= 0 && (*box)[3] >= 0, "data",
          "{}: an annotation of image {} has a bbox that is not x, y, width and height", place_,
          get<int64_t>(annotation, "image_id", place_));
    return (*box)[2] * (*box)[3];
  }

  std::filesystem::path path_;
  std::string place_;
  std::map<int64_t, std::string> categories_, names_;    // of categories, of pictures
  std::vector<std::pair<int64_t, std::string>> images_;  // in the file's order
  std::map<int64_t, Covered> covered_;                   // by picture
  int64_t crowds_ = 0, repeated_ = 0;
};

}  // namespace

std::unique_ptr<Source> coco_source(const SourceSpec& spec) {
  constexpr std::string_view kOption = ",labels=";
  SourceSpec file = spec;
  bool all = false;
  if (const size_t at = spec.arguments.rfind(kOption); at != std::string::npos) {
    const std::string labels = spec.arguments.substr(at + kOption.size());
    check(labels == "all" || labels == "largest", "data",
          "{}: labels is '{}'; it is largest, the category that covers most of a picture, or all",
          spec.kind, printable(labels));
    all = labels == "all";
    file.arguments = spec.arguments.substr(0, at);
  }
  ListedPictures pictures(manifest_of(file), all);
  CocoFile(pictures.manifest()).list(pictures, all);
  return std::move(pictures).source(spec);
}

}  // namespace vitrail
