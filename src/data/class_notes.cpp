#include "data/class_notes.h"

#include <fmt/format.h>

#include <set>
#include <vector>

#include "core/printable.h"

namespace vitrail {
namespace {

// Small letters, without the blanks around.
std::string plain(const std::string& name) {
  const size_t begin = name.find_first_not_of(" \t");
  if (begin == std::string::npos) return "";
  std::string text = name.substr(begin, name.find_last_not_of(" \t") - begin + 1);
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

std::string classes_text(const std::vector<std::string>& names) {
  return counted(static_cast<int64_t>(names.size()), "class", "classes");
}

}  // namespace

void note_classes(const ClassCounts& counts, const std::map<Split, std::string>& titles,
                  Intake& intake) {
  const auto title = [&](Split split) {
    const auto found = titles.find(split);
    return found == titles.end() ? std::string(name_of(split)) : found->second;
  };
  std::set<std::string> classes;
  for (const auto& [split, of_split] : counts) {
    int64_t pictures = 0;
    for (const auto& [name, count] : of_split) {
      classes.insert(name);
      pictures += count;
    }
    intake.take(name_of(split), pictures);
  }
  intake.set_classes(static_cast<int64_t>(classes.size()));

  const auto train = counts.find(Split::train);
  for (const auto& [split, of_split] : counts) {
    if (train == counts.end() || split == Split::train || split == Split::all) continue;
    std::vector<std::string> unlearned, unjudged;
    int64_t pictures = 0;
    for (const auto& [name, count] : of_split) {
      if (train->second.contains(name)) continue;
      unlearned.push_back(name);
      pictures += count;
    }
    for (const auto& [name, count] : train->second)
      if (!of_split.contains(name)) unjudged.push_back(name);
    if (!unlearned.empty())
      intake.note(fmt::format("{} of {} not in {} and never learned: {} ({})",
                              classes_text(unlearned), title(split), title(Split::train),
                              named(unlearned), counted(pictures, "picture", "pictures")));
    if (!unjudged.empty())
      intake.note(fmt::format("{} of {} not in {}: {}", classes_text(unjudged), title(Split::train),
                              title(split), named(unjudged)));
  }

  std::map<std::string, std::string> seen;
  for (const std::string& name : classes) {
    const auto [other, is_new] = seen.emplace(plain(name), name);
    if (!is_new)
      intake.note(
          fmt::format("'{}' and '{}' are two classes that differ in capital letters or "
                      "blanks alone",
                      printable(other->second), printable(name)));
  }
}

}  // namespace vitrail
