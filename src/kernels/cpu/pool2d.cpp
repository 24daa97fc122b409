#include "kernels/pool2d.h"

#include <algorithm>
#include <cassert>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/pool2d.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/cpu/vector_loop-inl.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels::HWY_NAMESPACE {

using PoolTag = hn::ScalableTag<float>;

struct PoolRange {
  int64_t begin, end;
};
// The pixels of an axis that window `out` holds.
inline PoolRange PixelsOf(int64_t out, int64_t kernel, int64_t stride, int64_t padding,
                          int64_t size) {
  const int64_t first = out * stride - padding;
  return {std::max<int64_t>(0, first), std::min(size, first + kernel)};
}
// The windows of an axis that hold pixel `at`.
inline PoolRange WindowsOf(int64_t at, int64_t kernel, int64_t stride, int64_t padding,
                           int64_t count) {
  const int64_t after = std::max<int64_t>(0, at + padding - kernel + stride);
  return {after / stride, std::min(count, (at + padding) / stride + 1)};
}

// body(place in y, rows, columns, place of the picture in x) for the windows of lines
// [begin, end) of batch * out_height.
template <class Body>
HWY_INLINE void ForEachWindow(const PoolGeometry& g, int64_t begin, int64_t end, Body&& body) {
  const int64_t out_height = g.out_height(), out_width = g.out_width();
  for (int64_t line = begin; line < end; ++line) {
    const PoolRange rows =
        PixelsOf(line % out_height, g.kernel_height, g.stride_height, g.padding_height, g.height);
    for (int64_t ow = 0; ow < out_width; ++ow)
      body((line * out_width + ow) * g.channels, rows,
           PixelsOf(ow, g.kernel_width, g.stride_width, g.padding_width, g.width),
           line / out_height * g.height * g.width * g.channels);
  }
}

// body(place in x, place in the picture, rows of windows, columns of windows, place of the
// picture in y) for the pixels of lines [begin, end) of batch * height.
template <class Body>
HWY_INLINE void ForEachPixel(const PoolGeometry& g, int64_t begin, int64_t end, Body&& body) {
  const int64_t out_height = g.out_height(), out_width = g.out_width();
  for (int64_t line = begin; line < end; ++line) {
    const int64_t h = line % g.height;
    const PoolRange rows =
        WindowsOf(h, g.kernel_height, g.stride_height, g.padding_height, out_height);
    for (int64_t w = 0; w < g.width; ++w)
      body((line * g.width + w) * g.channels, h * g.width + w, rows,
           WindowsOf(w, g.kernel_width, g.stride_width, g.padding_width, out_width),
           line / g.height * out_height * out_width * g.channels);
  }
}

// Indices travel through float registers' loads and stores, bit by bit.
void MaxPoolLines(const PoolGeometry& g, const float* x, float* y, int32_t* argmax, int64_t begin,
                  int64_t end) {
  const PoolTag d;
  const hn::RebindToSigned<PoolTag> di;
  auto* indices = reinterpret_cast<float*>(argmax);
  ForEachWindow(
      g, begin, end, [&](int64_t out, PoolRange rows, PoolRange columns, int64_t picture) HWY_ATTR {
        ForEachRegister(0, g.channels, [&](int64_t c, auto load, auto store) HWY_ATTR {
          const float* pixels = x + picture + c;
          const int64_t first = rows.begin * g.width + columns.begin;
          auto highest = load(pixels + first * g.channels);
          auto winner = hn::Set(di, static_cast<int32_t>(first));
          for (int64_t h = rows.begin; h < rows.end; ++h)
            for (int64_t w = columns.begin; w < columns.end; ++w) {
              const int64_t at = h * g.width + w;
              const auto value = load(pixels + at * g.channels);
              // Higher, or the first NaN.
              const auto wins =
                  hn::Or(hn::Gt(value, highest), hn::AndNot(hn::IsNaN(highest), hn::IsNaN(value)));
              highest = hn::IfThenElse(wins, value, highest);
              winner = hn::IfThenElse(hn::RebindMask(di, wins),
                                      hn::Set(di, static_cast<int32_t>(at)), winner);
            }
          store(highest, y + out + c);
          if (indices != nullptr) store(hn::BitCast(d, winner), indices + out + c);
        });
      });
}

void MaxPoolBackwardLines(const PoolGeometry& g, const int32_t* argmax, const float* dy, float* dx,
                          int64_t begin, int64_t end) {
  const PoolTag d;
  const hn::RebindToSigned<PoolTag> di;
  const auto* indices = reinterpret_cast<const float*>(argmax);
  const int64_t out_width = g.out_width();
  ForEachPixel(g, begin, end,
               [&](int64_t pixel, int64_t place, PoolRange rows, PoolRange columns, int64_t picture)
                   HWY_ATTR {
                     ForEachRegister(0, g.channels, [&](int64_t c, auto load, auto store) HWY_ATTR {
                       const auto own = hn::Set(di, static_cast<int32_t>(place));
                       auto sum = hn::Zero(d);
                       for (int64_t oh = rows.begin; oh < rows.end; ++oh)
                         for (int64_t ow = columns.begin; ow < columns.end; ++ow) {
                           const int64_t out = picture + (oh * out_width + ow) * g.channels + c;
                           const auto won = hn::Eq(hn::BitCast(di, load(indices + out)), own);
                           sum = hn::Add(
                               sum, hn::IfThenElseZero(hn::RebindMask(d, won), load(dy + out)));
                         }
                       store(sum, dx + pixel + c);
                     });
                   });
}

void AveragePoolLines(const PoolGeometry& g, const float* x, float* y, int64_t begin, int64_t end) {
  const PoolTag d;
  const auto weight = hn::Set(d, 1.0f / static_cast<float>(g.kernel_height * g.kernel_width));
  ForEachWindow(g, begin, end,
                [&](int64_t out, PoolRange rows, PoolRange columns, int64_t picture) HWY_ATTR {
                  ForEachRegister(0, g.channels, [&](int64_t c, auto load, auto store) HWY_ATTR {
                    auto sum = hn::Zero(d);
                    for (int64_t h = rows.begin; h < rows.end; ++h)
                      for (int64_t w = columns.begin; w < columns.end; ++w)
                        sum = hn::Add(sum, load(x + picture + (h * g.width + w) * g.channels + c));
                    store(hn::Mul(sum, weight), y + out + c);
                  });
                });
}

void AveragePoolBackwardLines(const PoolGeometry& g, const float* dy, float* dx, int64_t begin,
                              int64_t end) {
  const PoolTag d;
  const auto weight = hn::Set(d, 1.0f / static_cast<float>(g.kernel_height * g.kernel_width));
  const int64_t out_width = g.out_width();
  ForEachPixel(
      g, begin, end,
      [&](int64_t pixel, int64_t, PoolRange rows, PoolRange columns, int64_t picture) HWY_ATTR {
        ForEachRegister(0, g.channels, [&](int64_t c, auto load, auto store) HWY_ATTR {
          auto sum = hn::Zero(d);
          for (int64_t oh = rows.begin; oh < rows.end; ++oh)
            for (int64_t ow = columns.begin; ow < columns.end; ++ow)
              sum = hn::Add(sum, load(dy + picture + (oh * out_width + ow) * g.channels + c));
          store(hn::Mul(sum, weight), dx + pixel + c);
        });
      });
}

}  // namespace vitrail::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/cpu/chunks.h"
#include "kernels/cpu/dispatch.h"

namespace vitrail::kernels {
namespace {

HWY_EXPORT(MaxPoolLines);
HWY_EXPORT(MaxPoolBackwardLines);
HWY_EXPORT(AveragePoolLines);
HWY_EXPORT(AveragePoolBackwardLines);

// body(begin, end) over lines of windows, or of pixels.
template <class Body>
void by_windows(Queue& queue, const PoolGeometry& g, const Body& body) {
  const int64_t work = g.out_width() * g.channels * g.kernel_height * g.kernel_width;
  queue.pool().parallel_ranges(g.batch * g.out_height(), rows_per_chunk(work), body);
}
template <class Body>
void by_pixels(Queue& queue, const PoolGeometry& g, const Body& body) {
  queue.pool().parallel_ranges(g.batch * g.height, rows_per_chunk(g.width * g.channels), body);
}

}  // namespace

void max_pool2d(Queue& queue, const PoolGeometry& geometry, const float* x, float* y,
                int32_t* argmax) {
  assert(2 * geometry.padding_height <= geometry.kernel_height);
  assert(2 * geometry.padding_width <= geometry.kernel_width);
  by_windows(queue, geometry, [&](int64_t begin, int64_t end) {
    VITRAIL_DISPATCH(MaxPoolLines)(geometry, x, y, argmax, begin, end);
  });
}

void max_pool2d_backward(Queue& queue, const PoolGeometry& geometry, const int32_t* argmax,
                         const float* dy, float* dx) {
  by_pixels(queue, geometry, [&](int64_t begin, int64_t end) {
    VITRAIL_DISPATCH(MaxPoolBackwardLines)(geometry, argmax, dy, dx, begin, end);
  });
}

void average_pool2d(Queue& queue, const PoolGeometry& geometry, const float* x, float* y) {
  by_windows(queue, geometry, [&](int64_t begin, int64_t end) {
    VITRAIL_DISPATCH(AveragePoolLines)(geometry, x, y, begin, end);
  });
}

void average_pool2d_backward(Queue& queue, const PoolGeometry& geometry, const float* dy,
                             float* dx) {
  by_pixels(queue, geometry, [&](int64_t begin, int64_t end) {
    VITRAIL_DISPATCH(AveragePoolBackwardLines)(geometry, dy, dx, begin, end);
  });
}

}  // namespace vitrail::kernels
#endif  // HWY_ONCE
