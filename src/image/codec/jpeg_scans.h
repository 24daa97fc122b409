#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace vitrail {

// How many scans a JPEG holds, found by its markers alone.
uint64_t count_jpeg_scans(std::span<const std::byte> bytes);

}  // namespace vitrail
