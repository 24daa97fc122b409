#include "data/split_names.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace vitrail {
namespace {

constexpr auto kWords = std::to_array<std::pair<std::string_view, Split>>({
    {"train", Split::train},    {"training", Split::train}, {"trn", Split::train},
    {"trainval", Split::train}, {"val", Split::val},        {"valid", Split::val},
    {"validation", Split::val}, {"validate", Split::val},   {"validating", Split::val},
    {"dev", Split::val},        {"devel", Split::val},      {"development", Split::val},
    {"test", Split::test},      {"testing", Split::test},   {"tst", Split::test},
    {"tests", Split::test},     {"eval", Split::all},       {"evaluation", Split::all},
    {"holdout", Split::all},    {"heldout", Split::all},
});

constexpr auto kFillers = std::to_array<std::string_view>(
    {"set",  "sets",   "dataset",  "datasets", "data",     "images", "image",
     "imgs", "img",    "pictures", "pics",     "photos",   "split",  "splits",
     "part", "folder", "dir",      "samples",  "examples", "files"});

bool is_filler(std::string_view word) {
  return std::ranges::find(kFillers, word) != kFillers.end();
}

std::optional<Split> split_word(std::string_view word) {
  const auto known = [](std::string_view text) -> std::optional<Split> {
    const auto found = std::ranges::find(kWords, text, &std::pair<std::string_view, Split>::first);
    if (found == kWords.end()) return std::nullopt;
    return found->second;
  };
  if (const auto split = known(word)) return split;
  // trainset, testdata, imagestrain
  for (const std::string_view filler : kFillers) {
    if (word.ends_with(filler))
      if (const auto split = known(word.substr(0, word.size() - filler.size()))) return split;
    if (word.starts_with(filler))
      if (const auto split = known(word.substr(filler.size()))) return split;
  }
  return std::nullopt;
}

// Runs of letters, in small letters; bytes above ASCII are letters of some script.
std::vector<std::string> words_of(std::string_view name) {
  std::vector<std::string> words;
  std::string word;
  const auto end_word = [&] {
    if (!word.empty()) words.push_back(std::exchange(word, {}));
  };
  for (const char c : name) {
    if (c >= 'A' && c <= 'Z')
      word += static_cast<char>(c - 'A' + 'a');
    else if ((c >= 'a' && c <= 'z') || (static_cast<unsigned char>(c) & 0x80) != 0)
      word += c;
    else
      end_word();
  }
  end_word();
  return words;
}

}  // namespace

std::string lower_case(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

std::optional<SplitName> read_split_name(std::string_view name) {
  std::optional<SplitName> found;
  std::string rest;
  for (const std::string& word : words_of(name)) {
    const auto split = split_word(word);
    if (split && !found) {
      found = {*split, ""};
    } else if (!is_filler(word)) {
      rest += (rest.empty() ? "" : "_") + word;
    }
  }
  if (found) found->rest = std::move(rest);
  return found;
}

}  // namespace vitrail
