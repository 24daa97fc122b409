// Ending long work early: whoever asked for it holds a std::stop_source, and the work looks at the
// token where it can end without harm.
#pragma once

#include <stop_token>

#include "core/error.h"

namespace vitrail {

// Error (ErrorCode::cancelled): a stop was requested.
inline void check_stop(const std::stop_token& stop) {
  if (stop.stop_requested()) [[unlikely]]
    fail(ErrorCode::cancelled, "stop", "the work was asked to stop, and has");
}

}  // namespace vitrail
