// The one line that a failure becomes.
#pragma once

#include <exception>
#include <string>

namespace vitrail::cli {

// What a user reads of it: an Error's own words; of memory that is not there, a stream or a file
// that fails, what to make of it. Nothing else should come this far: it is named as a fault of
// ours.
std::string failure_message(const std::exception_ptr& failure);

}  // namespace vitrail::cli
