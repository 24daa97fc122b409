#include "models/families/labels.h"

#include <algorithm>
#include <charconv>

#include "core/error.h"
#include "formats/json.h"

namespace vitrail {
namespace {

constexpr size_t kMaxClasses = size_t{1} << 24;

// Names arriving in any order, each index once.
class Collector {
 public:
  explicit Collector(const std::string& place) : place_(place) {}
  void add(int64_t index, std::string name) {
    if (index < 0 || index >= static_cast<int64_t>(kMaxClasses))
      fail("labels", "{}: class index {} is out of range", place_, index);
    entries_.push_back({index, std::move(name)});
  }
  ConfigLabels finish() {
    std::ranges::sort(entries_, {}, &Entry::index);
    ConfigLabels labels;
    for (Entry& entry : entries_) {
      if (entry.index != static_cast<int64_t>(labels.names.size()))
        fail("labels", "{}: class {} is {}", place_,
             std::min<int64_t>(entry.index, static_cast<int64_t>(labels.names.size())),
             entry.index < static_cast<int64_t>(labels.names.size()) ? "named twice" : "not named");
      labels.names.push_back(std::move(entry.name));
    }
    labels.source = place_;
    return labels;
  }

 private:
  struct Entry {
    int64_t index;
    std::string name;
  };
  const std::string& place_;
  std::vector<Entry> entries_;
};

int64_t index_of(const std::string& key, const std::string& place) {
  int64_t index = 0;
  const auto result = std::from_chars(key.data(), key.data() + key.size(), index);
  if (result.ec != std::errc() || result.ptr != key.data() + key.size())
    fail("labels", "{}: '{}' is not the index of a class", place, key.substr(0, 60));
  return index;
}

ConfigLabels from_json(const Json& json, const std::string& place) {
  Collector collector(place);
  if (json.is_array()) {
    for (size_t i = 0; i < json.size(); ++i) {
      const bool named = json[i].is_string();
      if (!named && !json[i].is_null()) fail("labels", "{}: class {} has no name", place, i);
      collector.add(static_cast<int64_t>(i), named ? json[i].get<std::string>() : "");
    }
    return collector.finish();
  }
  if (!json.is_object()) fail("labels", "{}: is neither a list nor a map of names", place);
  for (const auto& [key, value] : json.items()) {
    if (!value.is_string()) fail("labels", "{}: class {} has no name", place, key.substr(0, 60));
    collector.add(index_of(key, place), value.get<std::string>());
  }
  return collector.finish();
}

bool is_wnid(const std::string& name) {
  return name.size() == 9 && name[0] == 'n' &&
         std::all_of(name.begin() + 1, name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// timm: label_names may be identifiers whose words stand in label_descriptions.
ConfigLabels from_timm(const Json& names, const Json* descriptions, const std::string& place) {
  ConfigLabels labels = from_json(names, place);
  if (std::ranges::all_of(labels.names, is_wnid)) labels.wnids = labels.names;
  if (descriptions != nullptr && descriptions->is_object())
    for (std::string& name : labels.names)
      if (const auto found = descriptions->find(name);
          found != descriptions->end() && found->is_string())
        name = found->get<std::string>();
  return labels;
}

bool made_up(const std::vector<std::string>& names) {
  for (size_t i = 0; i < names.size(); ++i)
    if (names[i] != "LABEL_" + std::to_string(i)) return false;
  return true;
}

const Json* child(const Json& json, const char* key) {
  if (!json.is_object()) return nullptr;
  const auto found = json.find(key);
  return found == json.end() || found->is_null() ? nullptr : &*found;
}

}  // namespace

ConfigLabels labels_from_config(const Json& config, const std::string& place) {
  if (const Json* own = child(config, "labels")) {
    ConfigLabels labels = from_json(*own, place + " labels");
    if (const Json* wnids = child(config, "wnids"))
      labels.wnids = from_json(*wnids, place + " wnids").names;
    return labels;
  }
  if (const Json* id2label = child(config, "id2label")) {
    ConfigLabels labels = from_json(*id2label, place + " id2label");
    return made_up(labels.names) ? ConfigLabels{} : labels;
  }
  const Json* pretrained = child(config, "pretrained_cfg");
  for (const Json* holder : {&config, pretrained})
    if (holder != nullptr)
      if (const Json* names = child(*holder, "label_names"))
        return from_timm(*names, child(*holder, "label_descriptions"), place + " label_names");
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
