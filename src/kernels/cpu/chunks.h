// How work is cut for threads: by shape alone, so that who runs a chunk never changes a result.
#pragma once

#include <algorithm>
#include <cstdint>

namespace vitrail::kernels {

// A chunk outlasts its hand-over to a thread by far and still leaves several for each.
inline constexpr int64_t kElementsPerChunk = 8192;

inline int64_t rows_per_chunk(int64_t row_elements) {
  return std::max<int64_t>(1, kElementsPerChunk / std::max<int64_t>(1, row_elements));
}

}  // namespace vitrail::kernels
