// The verbs of a program's description as one list.
#pragma once

#include <vector>

#include "apps/cli/command_line.h"

namespace vitrail::cli {

// Those that have none below them, and so do something, in the order of the help.
inline std::vector<const CLI::VerbDescription*> last_verbs(const CLI::VerbDescription& verb) {
  if (verb.verbs.empty()) return {&verb};
  std::vector<const CLI::VerbDescription*> verbs;
  for (const CLI::VerbDescription& below : verb.verbs)
    for (const CLI::VerbDescription* last : last_verbs(below)) verbs.push_back(last);
  return verbs;
}

}  // namespace vitrail::cli
