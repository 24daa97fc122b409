// Splitting off validation pictures: class by class, and whole groups of near-duplicates together.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace vitrail {

// The group of each picture, from a regular expression over its id (a file's path within the set):
// what the first parentheses match, or the whole match without any; a picture that does not match
// is a group of its own. "folder" stands for the folder that holds the file, an empty pattern for
// every picture by itself. Error: not a regular expression.
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
// `whole` is shared by both parts.
HeldOut split_held_out(std::shared_ptr<const Dataset> whole, const std::string& group_pattern,
                       double fraction, uint64_t seed);

}  // namespace vitrail
