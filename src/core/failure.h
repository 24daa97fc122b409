// Every exception as an Error: what the standard library throws where memory, a file or a thread is
// not to be had has words of its own, and whatever else comes is a fault of ours.
#pragma once

#include <exception>

#include "vitrail/error.h"

namespace vitrail {

// Throws nothing: without memory for the words it is an Error that was made before.
Error error_of(const std::exception_ptr& failure) noexcept;

}  // namespace vitrail
