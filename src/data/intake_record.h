// What was announced of the sets that a program opened (data/intake.h), for its results, and who
// speaks where several processes open the same one.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "data/intake.h"

namespace vitrail {

// By set, in the order in which they were opened; sets that were taken whole are not among them.
std::vector<std::pair<std::string, Intake>> announced_intakes();

// What no listener hears is logged no more: of several processes one speaks.
void silence_intake();

}  // namespace vitrail
