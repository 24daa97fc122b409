// The one rule by which pictures are held out for validation: class by class, and whole groups of
// near-duplicates together.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace vitrail {

// The group of each picture, from a regular expression over its id (a file's path within the set):
// what the first parentheses match, or the whole match without any; a picture that does not match
// is a group of its own. "folder" stands for the folder that holds the file, an empty pattern for
// every picture by itself. Error: not a regular expression, an id too long to be matched.
std::vector<std::string> group_keys(const Dataset& set, const std::string& pattern);

// Which pictures are held out: of each class about `fraction`, at least one and not all, where its
// groups allow that. groups: a key for each picture. The order of the groups depends on their keys
// and the seed alone; a class of a single group stays in training. Error: nothing is left to hold
// out.
std::vector<bool> hold_out(const Dataset& set, const std::vector<std::string>& groups,
                           double fraction, uint64_t seed);

struct HeldOut {
  std::unique_ptr<Dataset> train, validation;
};
// Both parts share `whole` and keep its order. `out`: which pictures are held out.
HeldOut divided(std::shared_ptr<const Dataset> whole, const std::vector<bool>& out);

// The rule applied: val_fraction, split_seed and group of the options. Error: as group_keys and
// hold_out; a fraction of 0, which holds out nothing.
HeldOut split_held_out(std::shared_ptr<const Dataset> whole, const OpenOptions& options);

}  // namespace vitrail
