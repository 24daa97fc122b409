// Errors a user can cause. Kernels assert; everything above them throws Error.
#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>

#include "vitrail/error.h"

namespace vitrail {

// fail("attention", "head_dim {} does not divide embed_dim {}", 48, 200)
template <typename... Args>
[[noreturn]] void fail(const std::string& place, fmt::format_string<Args...> format,
                       Args&&... args) {
  throw Error(place, fmt::format(format, std::forward<Args>(args)...));
}

// The same where a program can tell what to do from the kind: a file that is not there, a limit.
template <typename... Args>
[[noreturn]] void fail(ErrorCode code, const std::string& place, fmt::format_string<Args...> format,
                       Args&&... args) {
  throw Error(place, fmt::format(format, std::forward<Args>(args)...), code);
}

// Throws Error unless the condition holds.
template <typename... Args>
void check(bool condition, const char* place, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) [[unlikely]]
    throw Error(place, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void check(bool condition, ErrorCode code, const char* place, fmt::format_string<Args...> format,
           Args&&... args) {
  if (!condition) [[unlikely]]
    throw Error(place, fmt::format(format, std::forward<Args>(args)...), code);
}

}  // namespace vitrail
