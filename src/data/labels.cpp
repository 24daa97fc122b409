#include "data/labels.h"

#include <algorithm>
#include <set>

#include "core/error.h"

namespace vitrail {
namespace {

bool is_number(const std::string& text) {
  return !text.empty() && text.size() <= 18 &&
         std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

LabelSet number_labels(const std::vector<std::string>& names, const std::string& set,
                       size_t least) {
  const std::set<std::string> distinct(names.begin(), names.end());
  check(!distinct.empty(), "data", "{} has no labelled pictures", set);
  check(distinct.size() >= least, "data", "{} has the one class '{}'; at least two are wanted", set,
        *distinct.begin());
  LabelSet out;
  out.classes.assign(distinct.begin(), distinct.end());
  const bool numbers = std::ranges::all_of(out.classes, is_number);
  const auto before = [&](const std::string& a, const std::string& b) {
    if (!numbers) return a < b;
    const int64_t x = std::stoll(a), y = std::stoll(b);
    return x != y ? x < y : a < b;
  };
  std::ranges::sort(out.classes, before);
  out.labels.reserve(names.size());
  for (const std::string& name : names)
    out.labels.push_back(std::ranges::lower_bound(out.classes, name, before) - out.classes.begin());
  return out;
}

}  // namespace vitrail
