#include "kernels/copy.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

#include "kernels/cpu/chunks.h"
#include "kernels/cpu/transpose.h"

namespace vitrail::kernels {
namespace {

struct Axis {
  int64_t size = 1, to = 0, from = 0;  // strides in elements
};

// Axes from outermost to innermost by where they are written, with those joined that one stride
// describes on both sides: a concatenation becomes two axes, a plain copy one.
struct Loop {
  std::array<Axis, Shape::kMaxRank + 2> axes;
  int rank = 0;

  Loop(const View& to, const View& from) {
    for (int i = 0; i < to.shape.rank(); ++i)
      if (to.shape[i] != 1) axes[rank++] = {to.shape[i], to.strides[i], from.strides[i]};
    std::sort(axes.begin(), axes.begin() + rank,
              [](const Axis& a, const Axis& b) { return a.to > b.to; });
    int kept = 0;
    for (int i = 1; i < rank; ++i) {
      Axis& outer = axes[kept];
      const Axis& inner = axes[i];
      if (outer.to == inner.size * inner.to && outer.from == inner.size * inner.from)
        outer = {outer.size * inner.size, inner.to, inner.from};
      else
        axes[++kept] = inner;
    }
    rank = rank == 0 ? 0 : kept + 1;
    // At least a block of two axes, the innermost the one that is written in order.
    while (rank < 2) {
      std::copy_backward(axes.begin(), axes.begin() + rank, axes.begin() + rank + 1);
      axes[0] = {};
      ++rank;
    }
    // The axis along which reads lie closest comes second to last: with it, blocks of both use
    // every cache line they fetch. It changes no element's value.
    if (axes[rank - 1].from != 1)
      for (int i = 0; i < rank - 2; ++i)
        if (axes[i].from == 1) {
          std::rotate(axes.begin() + i, axes.begin() + i + 1, axes.begin() + rank - 1);
          break;
        }
  }
};

template <bool kAdd>
void block(const Axis& outer, const Axis& inner, float* to, const float* from) {
  constexpr int64_t kTile = 16;  // a cache line of floats
  if (inner.to == 1 && inner.from == 1) {
    for (int64_t i = 0; i < outer.size; ++i) {
      float* out = to + i * outer.to;
      const float* in = from + i * outer.from;
      if constexpr (kAdd)
        for (int64_t j = 0; j < inner.size; ++j) out[j] += in[j];
      else
        std::memcpy(out, in, static_cast<size_t>(inner.size) * sizeof(float));
    }
    return;
  }
  if (!kAdd && inner.to == 1 && outer.from == 1)
    return transpose(from, inner.from, inner.size, outer.size, to, outer.to);
  for (int64_t i0 = 0; i0 < outer.size; i0 += kTile)
    for (int64_t j0 = 0; j0 < inner.size; j0 += kTile) {
      const int64_t i1 = std::min(outer.size, i0 + kTile), j1 = std::min(inner.size, j0 + kTile);
      for (int64_t i = i0; i < i1; ++i)
        for (int64_t j = j0; j < j1; ++j) {
          float& out = to[i * outer.to + j * inner.to];
          const float in = from[i * outer.from + j * inner.from];
          if constexpr (kAdd)
            out += in;
          else
            out = in;
        }
    }
}

template <bool kAdd>
void run(Queue& queue, const View& to, const View& from) {
  assert(to.shape == from.shape);
  if (to.shape.numel() == 0) return;
  const Loop loop(to, from);
  const Axis &outer = loop.axes[loop.rank - 2], &inner = loop.axes[loop.rank - 1];
  float* target = to.as<float>();
  const float* source = from.as<float>();
  int64_t blocks = 1;
  for (int i = 0; i + 2 < loop.rank; ++i) blocks *= loop.axes[i].size;
  // Strips of the second to last axis, so that one large matrix is shared too.
  const int64_t strip = std::min(outer.size, (rows_per_chunk(inner.size) + 15) / 16 * 16);
  const int64_t strips = (outer.size + strip - 1) / strip;
  queue.pool().parallel_ranges(
      blocks * strips, rows_per_chunk(strip * inner.size), [&](int64_t begin, int64_t end) {
        for (int64_t task = begin; task < end; ++task) {
          const int64_t first = task % strips * strip;
          int64_t rest = task / strips;
          int64_t to_at = first * outer.to, from_at = first * outer.from;
          for (int i = loop.rank - 3; i >= 0; --i) {
            const Axis& axis = loop.axes[i];
            to_at += rest % axis.size * axis.to;
            from_at += rest % axis.size * axis.from;
            rest /= axis.size;
          }
          const Axis part{std::min(strip, outer.size - first), outer.to, outer.from};
          block<kAdd>(part, inner, target + to_at, source + from_at);
        }
      });
}

}  // namespace

void copy_strided(Queue& queue, const View& to, const View& from) {
  run<false>(queue, to, from);
}

void add_strided(Queue& queue, const View& to, const View& from) {
  run<true>(queue, to, from);
}

}  // namespace vitrail::kernels
