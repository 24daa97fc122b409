// Chunks of several arrays in one hand-over to the threads: for sweeps over all parameters.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/queue.h"

namespace vitrail::kernels {

// body(array, chunk, begin, end) for every chunk of `grain` elements; chunks are numbered through.
template <class CountOf, class Body>
void parallel_chunks(Queue& queue, size_t arrays, int64_t grain, CountOf count_of, Body body) {
  std::vector<int64_t> first{0};  // chunk of each array
  for (size_t i = 0; i < arrays; ++i)
    first.push_back(first.back() + (count_of(i) + grain - 1) / grain);
  queue.pool().parallel_for(first.back(), [&](int64_t chunk, int) {
    const auto after = std::upper_bound(first.begin(), first.end(), chunk);
    const auto array = static_cast<size_t>(after - first.begin()) - 1;
    const int64_t begin = (chunk - first[array]) * grain;
    body(array, chunk, begin, std::min(count_of(array), begin + grain));
  });
}

}  // namespace vitrail::kernels
