// Matching a data set's classes to a model's labels: by name or WordNet identifier, never by
// position, which silently gives wrong numbers.
#pragma once

#include <cstdint>
#include <optional>
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

// What the model calls a class, followed by its WordNet identifier where another class is called
// the same ("crane", the bird and the machine). Nothing where it has no name.
std::optional<std::string> label_title(const ClassLabels& labels, int64_t index);

// The set's classes as people call them: a bare WordNet identifier becomes the model's name for it.
// Others stay as they are.
std::vector<std::string> class_titles(const std::vector<std::string>& classes,
                                      const ClassLabels& labels);

}  // namespace vitrail
