// Labels as manifests write them: names or numbers, turned into classes 0 .. N-1.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace vitrail {

struct LabelSet {
  std::vector<std::string> classes;  // names bytewise ascending, or by number when all are numbers
  std::vector<int64_t> labels;       // one a name given
};
// Error: fewer than two classes; `set` names the data set.
LabelSet number_labels(const std::vector<std::string>& names, const std::string& set,
                       size_t least = 2);

}  // namespace vitrail
