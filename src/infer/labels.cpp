#include "infer/labels.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <string_view>

#include "core/error.h"
#include "core/printable.h"
#include "formats/json.h"
#include "formats/text_file.h"

namespace vitrail {
namespace {

struct Entry {
  std::optional<std::string> name;
  std::string wnid;
};

[[noreturn]] void refuse(const std::string& place, const std::string& what) {
  fail("labels",
       "{}: {}; labels are one name a line, a JSON array of names, or a JSON object from index to "
       "a name or [wnid, name]",
       place, what);
}

bool is_wnid(std::string_view text) {
  return text.size() == 9 && text[0] == 'n' &&
         std::all_of(text.begin() + 1, text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// "tench", ["n01440764", "tench"], {"wnid": "n01440764", "name": "tench"} or null.
Entry entry_of(const Json& json, const std::string& place) {
  if (json.is_null()) return {};
  if (json.is_string()) return {json.get<std::string>(), {}};
  if (json.is_array() && json.size() == 2 && json[0].is_string() && json[1].is_string())
    return {json[1].get<std::string>(), json[0].get<std::string>()};
  if (json.is_object() && json.contains("name"))
    return {get_optional<std::string>(json, "name", place),
            get_optional<std::string>(json, "wnid", place).value_or("")};
  refuse(place, "an entry is neither a name nor [wnid, name]");
}

// Names arriving in any order, each class once.
class Entries {
 public:
  Entries(std::string place, int64_t count)
      : place_(std::move(place)), entries_(static_cast<size_t>(count)) {}

  void set(int64_t index, Entry entry) {
    ++given_;
    if (index < 0 || index >= static_cast<int64_t>(entries_.size())) {
      outside_ = true;
      return;
    }
    std::optional<Entry>& place = entries_[static_cast<size_t>(index)];
    check(!place.has_value(), "labels", "{}: names class {} twice", place_, index);
    place = std::move(entry);
  }

  ClassLabels finish() const {
    check(!outside_ && given_ == entries_.size(), "labels",
          "{}: names {} classes{}, and the model has {}", place_, given_,
          outside_ && given_ <= entries_.size() ? ", one of them beyond the last" : "",
          entries_.size());
    ClassLabels labels;
    bool any_wnid = false;
    for (const std::optional<Entry>& entry : entries_) {
      labels.names.push_back(entry->name);
      // A list of bare WordNet identifiers is both.
      labels.wnids.push_back(entry->name && is_wnid(*entry->name) ? *entry->name : entry->wnid);
      any_wnid = any_wnid || !labels.wnids.back().empty();
    }
    if (!any_wnid) labels.wnids.clear();
    return labels;
  }

 private:
  std::string place_;
  std::vector<std::optional<Entry>> entries_;
  size_t given_ = 0;
  bool outside_ = false;
};

void read_lines(std::string_view text, Entries& entries) {
  for (int64_t index = 0; !text.empty(); ++index) {
    const std::string_view line = take_line(text);
    entries.set(index, line.empty() ? Entry{} : Entry{std::string(line), {}});
  }
}

void read_array(const Json& json, const std::string& place, Entries& entries) {
  int64_t position = 0;
  for (const Json& item : json) {
    int64_t index = position++;
    if (item.is_object()) index = get_optional<int64_t>(item, "index", place).value_or(index);
    entries.set(index, entry_of(item, place));
  }
}

void read_object(const Json& json, const std::string& place, Entries& entries) {
  for (const auto& [key, value] : json.items()) {
    int64_t index = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), index);
    if (error != std::errc() || end != key.data() + key.size())
      refuse(place, fmt::format("'{}' is not the index of a class", printable(key, 60)));
    entries.set(index, entry_of(value, place));
  }
}

}  // namespace

std::optional<std::string> ClassLabels::name(int64_t index) const {
  return index >= 0 && index < size() ? names[static_cast<size_t>(index)] : std::nullopt;
}

bool ClassLabels::any_known() const {
  return !wnids.empty() ||
         std::any_of(names.begin(), names.end(), [](const auto& name) { return name.has_value(); });
}

ClassLabels unknown_labels(int64_t count) {
  return {.names = std::vector<std::optional<std::string>>(static_cast<size_t>(count)),
          .wnids = {}};
}

ClassLabels read_labels(const std::filesystem::path& path, int64_t count) {
  const std::string text = read_text_file(path);
  const std::string place = path.string();
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) refuse(place, "the file is empty");
  Entries entries(place, count);
  if (text[first] != '[' && text[first] != '{') {
    read_lines(text, entries);
    return entries.finish();
  }
  const Json json = parse_json(text, place, {});
  if (json.is_array())
    read_array(json, place, entries);
  else if (const auto map = json.find("id2label"); map != json.end() && map->is_object())
    read_object(*map, place, entries);  // transformers' config.json
  else
    read_object(json, place, entries);
  return entries.finish();
}

}  // namespace vitrail
