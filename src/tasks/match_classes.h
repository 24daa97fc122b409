// Matching a data set's classes to a model's labels: by name or WordNet identifier, never by
// position, which silently gives wrong numbers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "infer/labels.h"

namespace vitrail {

// The model's class for each of the set's. A class may be called "n01440764", "n01440764_tench",
// "tench" or "tench, Tinca tinca" on either side; case, '_' and '-' against ' ' do not matter, and
// of synonyms the first counts when the whole does not match. A name that two classes share
// matches neither. Error: the list of classes without a label.
std::vector<int64_t> match_classes(const std::vector<std::string>& classes,
                                   const ClassLabels& labels);

}  // namespace vitrail
