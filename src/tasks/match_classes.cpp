#include "tasks/match_classes.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <string_view>

#include "core/advice.h"
#include "core/error.h"

namespace vitrail {
namespace {

constexpr int64_t kAmbiguous = -2;
constexpr size_t kListed = 10;  // names in a message

// The WordNet identifier that a name is or begins with: "n01440764", "n01440764_tench".
std::string_view wnid_of(std::string_view name) {
  if (name.size() < 9 || name[0] != 'n') return {};
  if (!std::all_of(name.begin() + 1, name.begin() + 9,
                   [](unsigned char c) { return std::isdigit(c) != 0; }))
    return {};
  return name.size() == 9 || name[9] == '_' || name[9] == ' ' ? name.substr(0, 9)
                                                              : std::string_view();
}

std::string normalised(std::string_view name) {
  std::string out;
  for (const char raw : name) {
    const auto c = static_cast<unsigned char>(raw);
    if (c == '_' || c == '-' || std::isspace(c) != 0) {
      if (!out.empty() && out.back() != ' ') out += ' ';
    } else {
      out += static_cast<char>(std::tolower(c));
    }
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

std::string_view first_synonym(std::string_view name) {
  return name.substr(0, name.find(','));
}

// What stands behind the identifier: "n01440764_tench" is "tench" too.
std::string_view without_wnid(std::string_view name) {
  const std::string_view wnid = wnid_of(name);
  if (wnid.empty()) return name;
  return name.size() > wnid.size() ? name.substr(wnid.size() + 1) : std::string_view();
}

std::string known_wnid(const ClassLabels& labels, size_t i) {
  if (i < labels.wnids.size() && !labels.wnids[i].empty()) return labels.wnids[i];
  return std::string(wnid_of(labels.names[i].value_or("")));
}

class Index {
 public:
  void add(std::string key, int64_t value) {
    if (key.empty()) return;
    const auto [entry, added] = entries_.try_emplace(std::move(key), value);
    if (!added && entry->second != value) entry->second = kAmbiguous;
  }
  int64_t find(const std::string& key) const {
    const auto found = entries_.find(key);
    return found == entries_.end() ? -1 : found->second;
  }

 private:
  std::map<std::string, int64_t> entries_;
};

}  // namespace

std::vector<int64_t> match_classes(const std::vector<std::string>& classes,
                                   const ClassLabels& labels) {
  Index wnids, names, synonyms;
  for (size_t k = 0; k < labels.names.size(); ++k) {
    const std::string name = labels.names[k].value_or("");
    const auto i = static_cast<int64_t>(k);
    if (!labels.wnids.empty()) wnids.add(labels.wnids[k], i);
    wnids.add(std::string(wnid_of(name)), i);
    const std::string_view words = without_wnid(name);
    names.add(normalised(words), i);
    synonyms.add(normalised(first_synonym(words)), i);
  }
  const auto find = [&](const std::string& name) {
    // An identifier says all: the words behind it are an ornament, and may be another edition's.
    if (const int64_t found = wnids.find(std::string(wnid_of(name))); found >= 0) return found;
    const std::string_view words = without_wnid(name);
    if (const int64_t found = names.find(normalised(words)); found >= 0) return found;
    return std::max<int64_t>(synonyms.find(normalised(first_synonym(words))), -1);
  };
  std::vector<int64_t> matched;
  std::vector<std::string> unmatched;
  for (const std::string& name : classes) {
    matched.push_back(find(name));
    if (matched.back() < 0) unmatched.push_back(name);
  }
  if (unmatched.empty()) return matched;
  std::string list;
  for (size_t i = 0; i < std::min(unmatched.size(), kListed); ++i)
    list += (i == 0 ? "" : ", ") + unmatched[i];
  if (unmatched.size() > kListed) list += ", ...";
  fail("eval",
       "{} of the set's {} classes match no label of the model ({}); rename them or give the "
       "model's labels with {}",
       unmatched.size(), classes.size(), list, said(Option::labels));
}

std::optional<std::string> label_title(const ClassLabels& labels, int64_t index) {
  const std::optional<std::string> name = labels.name(index);
  if (!name || name->empty()) return std::nullopt;
  const std::string wnid = known_wnid(labels, static_cast<size_t>(index));
  if (wnid.empty() || std::ranges::count(labels.names, name) == 1) return name;
  return *name + " (" + wnid + ")";
}

std::vector<std::string> class_titles(const std::vector<std::string>& classes,
                                      const ClassLabels& labels) {
  std::map<std::string, int64_t> indices;
  for (size_t i = 0; i < labels.names.size(); ++i)
    indices[known_wnid(labels, i)] = static_cast<int64_t>(i);
  std::vector<std::string> titles = classes;
  for (std::string& title : titles)
    if (!title.empty() && wnid_of(title).size() == title.size())
      if (const auto found = indices.find(title); found != indices.end())
        title = label_title(labels, found->second).value_or(title);
  return titles;
}

}  // namespace vitrail
