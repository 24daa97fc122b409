// The version of these headers, and of the library that a program runs with.
#pragma once

#include <vitrail/export.h>

// The one place where the version is written; CMake reads it here.
#define VITRAIL_VERSION_MAJOR 0
#define VITRAIL_VERSION_MINOR 1
#define VITRAIL_VERSION_PATCH 0
#define VITRAIL_VERSION "0.1.0"

// For #if: 102 is 0.1.2, 20304 is 2.3.4.
#define VITRAIL_VERSION_NUMBER \
  (VITRAIL_VERSION_MAJOR * 10000 + VITRAIL_VERSION_MINOR * 100 + VITRAIL_VERSION_PATCH)

namespace vit {

// Of the library that is loaded: "0.1.0". Until 1.0 a program runs with libraries of the minor
// version that it was built with, whatever their patch; their SONAME is libvitrail.so.0.1.
VITRAIL_API const char* version() noexcept;

}  // namespace vit
