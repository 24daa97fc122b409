#include "data/held_out.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <regex>

#include "core/error.h"
#include "core/printable.h"
#include "core/rng.h"
#include "data/subset.h"

namespace vitrail {
namespace {

// The matcher calls itself for each character.
constexpr size_t kLongestMatched = 4096;

std::string match(const std::regex& expression, const std::string& id) {
  check(id.size() <= kLongestMatched, "--group", "the picture '{}' has a name too long to match",
        printable(id));
  std::smatch found;
  if (!std::regex_search(id, found, expression)) return "picture " + id;
  return found.size() > 1 ? found[1].str() : found[0].str();
}

}  // namespace

std::vector<std::string> group_keys(const Dataset& set, const std::string& pattern) {
  std::vector<std::string> keys;
  std::regex expression;
  try {
    if (pattern != "folder") expression = std::regex(pattern, std::regex::ECMAScript);
  } catch (const std::regex_error&) {
    fail("--group", "'{}' is not a regular expression", printable(pattern));
  }
  for (int64_t i = 0; i < set.size(); ++i) {
    const std::string id = set.id(i);
    if (pattern.empty())
      keys.push_back(id);
    else if (pattern == "folder")
      keys.push_back(std::filesystem::path(id).parent_path().string());
    else
      keys.push_back(match(expression, id));
  }
  return keys;
}

namespace {

// The classes that a picture counts for; one that shows none counts for a class of its own.
std::vector<size_t> strata_of(const Dataset& set, int64_t picture) {
  std::vector<size_t> strata;
  for (const int64_t label : set.labels(picture)) strata.push_back(static_cast<size_t>(label));
  if (strata.empty()) strata.push_back(static_cast<size_t>(set.num_classes()));
  return strata;
}

}  // namespace

std::vector<bool> hold_out(const Dataset& set, const std::vector<std::string>& groups,
                           double fraction, uint64_t seed) {
  struct Group {
    uint64_t order = 0;
    std::vector<int64_t> pictures;
  };
  std::map<std::string, Group> by_key;
  for (int64_t i = 0; i < set.size(); ++i) {
    Group& group = by_key[groups[static_cast<size_t>(i)]];
    group.pictures.push_back(i);
  }
  std::vector<const Group*> order;
  for (auto& [key, group] : by_key) {
    group.order = philox(hash_path(key), seed, hash_path("held out"))[0];
    order.push_back(&group);
  }
  std::ranges::stable_sort(order, {}, [](const Group* group) { return group->order; });

  const auto classes = static_cast<size_t>(set.num_classes()) + 1;
  std::vector<int64_t> total(classes), held(classes);
  for (int64_t i = 0; i < set.size(); ++i)
    for (const size_t label : strata_of(set, i)) ++total[label];
  std::vector<bool> out(static_cast<size_t>(set.size()), false);
  for (const Group* group : order) {
    std::map<size_t, int64_t> takes;
    for (const int64_t i : group->pictures)
      for (const size_t label : strata_of(set, i)) ++takes[label];
    // A group goes when a class of it still wants pictures and none of its classes would lose all.
    bool wanted = false, possible = true;
    for (const auto& [label, count] : takes) {
      const auto goal = std::max<int64_t>(
          1, static_cast<int64_t>(fraction * static_cast<double>(total[label]) + 0.5));
      wanted |= held[label] < goal;
      possible &= held[label] + count < total[label];
    }
    if (!wanted || !possible) continue;
    for (const auto& [label, count] : takes) held[label] += count;
    for (const int64_t i : group->pictures) out[static_cast<size_t>(i)] = true;
  }
  check(std::ranges::find(out, true) != out.end(), "data",
        "{} has no val pictures of its own, and none can be held out: a class needs two groups of "
        "pictures",
        set.name());
  return out;
}

HeldOut divided(std::shared_ptr<const Dataset> whole, const std::vector<bool>& out) {
  std::vector<int64_t> train, validation;
  for (size_t i = 0; i < out.size(); ++i)
    (out[i] ? validation : train).push_back(static_cast<int64_t>(i));
  return {std::make_unique<Subset>(whole, std::move(train)),
          std::make_unique<Subset>(whole, std::move(validation))};
}

HeldOut split_held_out(std::shared_ptr<const Dataset> whole, const OpenOptions& options) {
  check(options.val_fraction > 0, "data",
        "{} has no val pictures: holding out {} of its {} training pictures leaves none",
        whole->name(), options.val_fraction, whole->size());
  const std::vector<bool> out =
      hold_out(*whole, group_keys(*whole, options.group), options.val_fraction, options.split_seed);
  return divided(std::move(whole), out);
}

}  // namespace vitrail
