#include "kernels/order.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/cpu/chunks.h"

namespace vitrail::kernels {
namespace {

void cumulative_one(const CumulativeMaximumArgs& args, int64_t outer) {
  const int64_t first = outer * args.axis * args.inner;
  for (int64_t a = 0; a < args.axis; ++a)
    for (int64_t i = 0; i < args.inner; ++i) {
      const int64_t at = first + a * args.inner + i, before = at - args.inner;
      const float value = args.x[at];
      const bool wins =
          a == 0 || std::isnan(value) || (!std::isnan(args.y[before]) && value >= args.y[before]);
      args.y[at] = wins ? value : args.y[before];
      if (args.index != nullptr)
        args.index[at] = wins ? static_cast<int32_t>(a) : args.index[before];
    }
}

}  // namespace

void cumulative_maximum(Queue& queue, const CumulativeMaximumArgs& args) {
  assert(args.x != args.y && args.axis <= std::numeric_limits<int32_t>::max());
  queue.pool().parallel_ranges(args.outer, rows_per_chunk(args.axis * args.inner),
                               [&](int64_t begin, int64_t end) {
                                 for (int64_t outer = begin; outer < end; ++outer)
                                   cumulative_one(args, outer);
                               });
}

void cumulative_maximum_backward(Queue& queue, const CumulativeMaximumBackwardArgs& args) {
  const int64_t size = args.axis * args.inner;
  queue.pool().parallel_ranges(args.outer, rows_per_chunk(size), [&](int64_t begin, int64_t end) {
    for (int64_t outer = begin; outer < end; ++outer) {
      float* dx = args.dx + outer * size;
      std::fill_n(dx, size, 0.0f);
      for (int64_t at = 0; at < size; ++at)
        dx[args.index[outer * size + at] * args.inner + at % args.inner] +=
            args.dy[outer * size + at];
    }
  });
}

void top_k(Queue& queue, const TopKArgs& args) {
  assert(args.k <= args.dim);
  // One row of places for each thread.
  const Tensor scratch = Tensor::empty({queue.pool().num_threads(), args.dim}, DType::i64);
  queue.pool().parallel_for(args.rows, [&](int64_t row, int worker) {
    const float* x = args.x + row * args.dim;
    int64_t* places = scratch.data<int64_t>() + worker * args.dim;
    std::iota(places, places + args.dim, int64_t{0});
    std::partial_sort(places, places + args.k, places + args.dim, [x](int64_t a, int64_t b) {
      const bool a_nan = std::isnan(x[a]), b_nan = std::isnan(x[b]);
      if (a_nan != b_nan) return a_nan;
      return !a_nan && x[a] != x[b] ? x[a] > x[b] : a < b;
    });
    for (int64_t i = 0; i < args.k; ++i) {
      args.indices[row * args.k + i] = places[i];
      args.values[row * args.k + i] = x[places[i]];
    }
  });
}

void top_k_backward(Queue& queue, const TopKBackwardArgs& args) {
  queue.pool().parallel_ranges(args.rows, rows_per_chunk(args.dim),
                               [&](int64_t begin, int64_t end) {
                                 for (int64_t row = begin; row < end; ++row) {
                                   float* dx = args.dx + row * args.dim;
                                   std::fill_n(dx, args.dim, 0.0f);
                                   for (int64_t i = row * args.k; i < (row + 1) * args.k; ++i)
                                     dx[args.indices[i]] = args.dvalues[i];
                                 }
                               });
}

}  // namespace vitrail::kernels
