// What is to be said of a set's classes: which a split lacks, and which look like one another.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "data/dataset.h"

namespace vitrail {

using ClassCounts = std::map<Split, std::map<std::string, int64_t>>;  // pictures taken

// Notes and sums go to `intake`. `titles`: what the splits are called, where that is not their own
// name.
void note_classes(const ClassCounts& counts, const std::map<Split, std::string>& titles,
                  Intake& intake);

}  // namespace vitrail
