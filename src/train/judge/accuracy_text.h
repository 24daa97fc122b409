// An accuracy in words, with how sure it is.
#pragma once

#include <cstdint>
#include <string>

namespace vitrail {

// "93.5% (95% interval 91.2% to 95.3%) of 340"
std::string accuracy_text(int64_t correct, int64_t pictures);

}  // namespace vitrail
