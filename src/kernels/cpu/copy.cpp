#include "kernels/copy.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "kernels/cpu/strided_loop.h"
#include "kernels/cpu/transpose.h"

namespace vitrail::kernels {
namespace {

using CopyLoop = StridedLoop<2>;  // to, from

template <bool kAdd>
void copy_block(const CopyLoop::Block& block, float* to, const float* from) {
  constexpr int64_t kTile = 16;  // a cache line of floats
  const CopyLoop::Axis &outer = block.outer, &inner = block.inner;
  const int64_t outer_to = outer.strides[0], outer_from = outer.strides[1];
  const int64_t inner_to = inner.strides[0], inner_from = inner.strides[1];
  if (inner_to == 1 && inner_from == 1) {
    for (int64_t i = 0; i < outer.size; ++i) {
      float* out = to + i * outer_to;
      const float* in = from + i * outer_from;
      if constexpr (kAdd)
        for (int64_t j = 0; j < inner.size; ++j) out[j] += in[j];
      else
        std::memcpy(out, in, static_cast<size_t>(inner.size) * sizeof(float));
    }
    return;
  }
  if (!kAdd && inner_to == 1 && outer_from == 1)
    return transpose(from, inner_from, inner.size, outer.size, to, outer_to);
  for (int64_t i0 = 0; i0 < outer.size; i0 += kTile)
    for (int64_t j0 = 0; j0 < inner.size; j0 += kTile) {
      const int64_t i1 = std::min(outer.size, i0 + kTile), j1 = std::min(inner.size, j0 + kTile);
      for (int64_t i = i0; i < i1; ++i)
        for (int64_t j = j0; j < j1; ++j) {
          float& out = to[i * outer_to + j * inner_to];
          const float in = from[i * outer_from + j * inner_from];
          if constexpr (kAdd)
            out += in;
          else
            out = in;
        }
    }
}

template <bool kAdd>
void copy_views(Queue& queue, const View& to, const View& from) {
  assert(to.shape == from.shape);
  CopyLoop loop({to, from});
  loop.bring_reads_inside(1);
  float* target = to.as<float>();
  const float* source = from.as<float>();
  loop.run(queue, [&](const CopyLoop::Block& block) {
    copy_block<kAdd>(block, target + block.offsets[0], source + block.offsets[1]);
  });
}

}  // namespace

void copy_strided(Queue& queue, const View& to, const View& from) {
  copy_views<false>(queue, to, from);
}

void add_strided(Queue& queue, const View& to, const View& from) {
  copy_views<true>(queue, to, from);
}

View broadcast_to(const View& view, const Shape& shape) {
  View result = view;
  result.shape = shape;
  const int missing = shape.rank() - view.shape.rank();
  assert(missing >= 0);
  for (int i = 0; i < shape.rank(); ++i) {
    const bool repeated = i < missing || view.shape[i - missing] == 1;
    assert(repeated || view.shape[i - missing] == shape[i]);
    result.strides[i] = repeated ? 0 : view.strides[i - missing];
  }
  return result;
}

}  // namespace vitrail::kernels
