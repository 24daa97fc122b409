#pragma once

#include <cstddef>
#include <span>

namespace vitrail {

// "a JPEG 2000 picture": what the first bytes say that it is, of what Vitrail does not read; null
// where they say nothing.
const char* foreign_format(std::span<const std::byte> bytes);

}  // namespace vitrail
