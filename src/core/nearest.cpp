#include "core/nearest.h"

#include <algorithm>
#include <cctype>
#include <vector>

namespace vitrail {
namespace {

constexpr size_t kMaxWord = 64;
constexpr size_t kLettersPerEdit = 3;
constexpr size_t kMinPrefix = 2;

std::string folded(std::string_view word) {
  std::string text(word);
  for (char& c : text)
    c = c == '_' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

}  // namespace

size_t edit_distance(std::string_view a, std::string_view b) {
  // Rows of the table of distances between the first i bytes of a and the first j of b: a swap
  // looks back by two.
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

std::optional<std::string> nearest_name(std::string_view word, std::span<const std::string> names) {
  if (word.empty() || word.size() > kMaxWord) return std::nullopt;
  const std::string wanted = folded(word);
  const std::string *nearest = nullptr, *completed = nullptr;
  size_t fewest = 0, completions = 0;
  for (const std::string& name : names) {
    if (name.size() > kMaxWord) continue;
    const std::string candidate = folded(name);
    if (wanted.size() >= kMinPrefix && candidate.starts_with(wanted)) {
      completed = &name;
      ++completions;
    }
    const size_t edits = edit_distance(wanted, candidate);
    if (edits > std::max(wanted.size(), candidate.size()) / kLettersPerEdit) continue;
    if (nearest == nullptr || edits < fewest) {
      nearest = &name;
      fewest = edits;
    }
  }
  if (nearest == nullptr && completions == 1) nearest = completed;
  return nearest == nullptr ? std::nullopt : std::optional(*nearest);
}

std::string did_you_mean(std::string_view word, std::span<const std::string> names) {
  const std::optional<std::string> name = nearest_name(word, names);
  return name ? "; did you mean '" + *name + "'?" : "";
}

std::string did_you_mean_or_all(std::string_view word, std::span<const std::string> names) {
  std::string text = did_you_mean(word, names);
  if (!text.empty()) return text;
  for (const std::string& name : names) text += (text.empty() ? "; there are " : ", ") + name;
  return text;
}

}  // namespace vitrail
