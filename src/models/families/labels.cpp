#include "models/families/labels.h"

#include <algorithm>
#include <charconv>

#include "core/error.h"
#include "core/printable.h"
#include "formats/json.h"
#include "models/families/reading/fields.h"

namespace vitrail {
namespace {

constexpr size_t kMaxClasses = size_t{1} << 24;

// Names arriving in any order, each index once.
class Collector {
 public:
  Collector(const std::string& place, int64_t classes) : place_(place), classes_(classes) {}
  void add(int64_t index, const Json& name) {
    if (index < 0 || index >= static_cast<int64_t>(kMaxClasses))
      fail("labels", "{}: class index {} is out of range", place_, index);
    if (name.is_structured() || name.is_boolean())
      fail("labels", "{}: class {} is named {}; a name is a text or a number", place_, index,
           shown(name));
    std::string text = name.is_string()   ? name.get<std::string>()
                       : name.is_number() ? name.dump()
                                          : "";
    entries_.push_back({index, std::move(text)});
  }
  ConfigLabels finish() {
    if (entries_.empty()) return {};
    std::ranges::sort(entries_, {}, &Entry::index);
    for (size_t i = 1; i < entries_.size(); ++i)
      if (entries_[i].index == entries_[i - 1].index)
        fail("labels", "{}: class {} is named twice", place_, entries_[i].index);
    const auto count = static_cast<int64_t>(entries_.size());
    if (count != classes_ && entries_.back().index + 1 != classes_)
      fail("labels", "{} names {} classes, but the model answers {}", place_, count, classes_);
    ConfigLabels labels{.names = std::vector<std::string>(static_cast<size_t>(classes_)),
                        .wnids = {},
                        .source = place_};
    for (Entry& entry : entries_)
      if (entry.index < classes_)
        labels.names[static_cast<size_t>(entry.index)] = std::move(entry.name);
    return labels;
  }

 private:
  struct Entry {
    int64_t index;
    std::string name;
  };
  const std::string& place_;
  int64_t classes_;
  std::vector<Entry> entries_;
};

int64_t index_of(const std::string& key, const std::string& place) {
  int64_t index = 0;
  const auto result = std::from_chars(key.data(), key.data() + key.size(), index);
  if (result.ec != std::errc() || result.ptr != key.data() + key.size())
    fail("labels", "{}: '{}' is not the index of a class", place, printable(key, 60));
  return index;
}

ConfigLabels from_json(const Json& json, int64_t classes, const std::string& place) {
  Collector collector(place, classes);
  if (json.is_array()) {
    for (size_t i = 0; i < json.size(); ++i) collector.add(static_cast<int64_t>(i), json[i]);
    return collector.finish();
  }
  if (!json.is_object()) fail("labels", "{}: is neither a list nor a map of names", place);
  for (const auto& [key, value] : json.items()) collector.add(index_of(key, place), value);
  return collector.finish();
}

bool is_wnid(const std::string& name) {
  return name.size() == 9 && name[0] == 'n' &&
         std::all_of(name.begin() + 1, name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// timm: label_names may be identifiers whose words stand in label_descriptions.
ConfigLabels from_timm(const Json& names, const Json* descriptions, int64_t classes,
                       const std::string& place) {
  ConfigLabels labels = from_json(names, classes, place);
  if (!labels.names.empty() && std::ranges::all_of(labels.names, is_wnid))
    labels.wnids = labels.names;
  if (descriptions != nullptr && descriptions->is_object())
    for (std::string& name : labels.names)
      if (const auto found = descriptions->find(name);
          found != descriptions->end() && found->is_string())
        name = found->get<std::string>();
  return labels;
}

bool made_up(const std::vector<std::string>& names) {
  for (size_t i = 0; i < names.size(); ++i)
    if (!names[i].empty() && names[i] != "LABEL_" + std::to_string(i)) return false;
  return true;
}

const Json* child(const Json& json, const char* key) {
  if (!json.is_object()) return nullptr;
  const auto found = json.find(key);
  return found == json.end() || found->is_null() ? nullptr : &*found;
}

}  // namespace

ConfigLabels labels_from_config(const Json& config, int64_t classes, const std::string& place) {
  if (const Json* own = child(config, "labels")) {
    ConfigLabels labels = from_json(*own, classes, place + " labels");
    if (const Json* wnids = child(config, "wnids"))
      labels.wnids = from_json(*wnids, classes, place + " wnids").names;
    return labels;
  }
  if (const Json* id2label = child(config, "id2label")) {
    ConfigLabels labels = from_json(*id2label, classes, place + " id2label");
    return made_up(labels.names) ? ConfigLabels{} : labels;
  }
  const Json* pretrained = child(config, "pretrained_cfg");
  for (const Json* holder : {&config, pretrained})
    if (holder != nullptr)
      if (const Json* names = child(*holder, "label_names"))
        return from_timm(*names, child(*holder, "label_descriptions"), classes,
                         place + " label_names");
  return {};
}

std::filesystem::path labels_file_in(const std::filesystem::path& folder) {
  for (const char* name : {"labels.json", "labels.txt", "classes.json", "classes.txt",
                           "imagenet_classes.json", "imagenet_classes.txt"}) {
    std::error_code ignored;
    if (std::filesystem::is_regular_file(folder / name, ignored)) return folder / name;
  }
  return {};
}

}  // namespace vitrail
