#include "kernels/interpolate.h"

#include <algorithm>

#include "kernels/cpu/interpolation_taps.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/interpolate.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/cpu/vector_loop-inl.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels::HWY_NAMESPACE {

// to[i] = sum over taps of weight * from[index * stride + i]. A product and a sum are rounded one
// by one, as the scalar code of narrow maps does.
HWY_INLINE void GatherTaps(const Taps& taps, int64_t output, const float* from, int64_t stride,
                           int64_t count, float* to) {
  const hn::ScalableTag<float> d;
  ForEachRegister(0, count, [&](int64_t i, auto load, auto store) HWY_ATTR {
    auto sum = hn::Zero(d);
    for (int64_t k = taps.start[output]; k < taps.start[output + 1]; ++k)
      sum = hn::Add(sum,
                    hn::Mul(hn::Set(d, taps.weight[k]), load(from + taps.index[k] * stride + i)));
    store(sum, to + i);
  });
}

// Two maps, of which `count` floats of each pixel are looked at; their pixels are so many floats
// apart.
struct PixelMaps {
  int64_t count;
  const float* from;
  int64_t from_pixel;
  float* to;
  int64_t to_pixel;
};

// Lines of `in` pixels to lines of as many as there are taps for.
void ResampleColumns(const Taps& taps, int64_t lines, int64_t in, PixelMaps maps) {
  const int64_t out = static_cast<int64_t>(taps.start.size()) - 1;
  for (int64_t h = 0; h < lines; ++h) {
    for (int64_t w = 0; w < out; ++w) {
      float* to = maps.to + w * maps.to_pixel;
      if (maps.count > 1) {
        GatherTaps(taps, w, maps.from, maps.from_pixel, maps.count, to);
        continue;
      }
      float sum = 0;
      for (int64_t k = taps.start[w]; k < taps.start[w + 1]; ++k)
        sum += taps.weight[k] * maps.from[taps.index[k] * maps.from_pixel];
      *to = sum;
    }
    maps.from += in * maps.from_pixel;
    maps.to += out * maps.to_pixel;
  }
}

// The same across lines of `width` pixels.
void ResampleRows(const Taps& taps, int64_t width, PixelMaps maps) {
  const int64_t out = static_cast<int64_t>(taps.start.size()) - 1;
  // A line that is one run of floats is taken at once.
  const bool dense = maps.from_pixel == maps.count && maps.to_pixel == maps.count;
  const int64_t runs = dense ? 1 : width, count = dense ? width * maps.count : maps.count;
  for (int64_t h = 0; h < out; ++h, maps.to += width * maps.to_pixel)
    for (int64_t w = 0; w < runs; ++w)
      GatherTaps(taps, h, maps.from + w * maps.from_pixel, width * maps.from_pixel, count,
                 maps.to + w * maps.to_pixel);
}

void ResampleMap(const MapResampling& r, const MapPart& part) {
  const int64_t count = part.end - part.begin, inner = part.inner;
  const PixelMaps first{count, part.from + part.begin, inner, part.middle, count};
  const PixelMaps second{count, part.middle, count, part.to + part.begin, inner};
  if (r.columns_first) {
    ResampleColumns(r.columns, r.in_height, r.in_width, first);
    ResampleRows(r.rows, r.out_width(), second);
  } else {
    ResampleRows(r.rows, r.in_width, first);
    ResampleColumns(r.columns, r.out_height(), r.in_width, second);
  }
}

}  // namespace vitrail::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/cpu/chunks.h"
#include "kernels/cpu/dispatch.h"

namespace vitrail::kernels {
namespace {

HWY_EXPORT(ResampleMap);

// Every map of `from`, [planes, in_height, in_width, inner], to one of `to`. Wide pixels are taken
// in strips, so that one map is shared, too.
void resample(Queue& queue, const MapResampling& r, int64_t planes, int64_t inner,
              const float* from, float* to) {
  if (planes == 0 || inner == 0) return;
  constexpr int64_t kStrip = 64;
  const int64_t strip = std::min(inner, kStrip);
  const int64_t strips = (inner + strip - 1) / strip, parts = planes * strips;
  const int64_t between =
      strip * (r.columns_first ? r.in_height * r.out_width() : r.out_height() * r.in_width);
  const int64_t from_size = r.in_height * r.in_width * inner;
  const int64_t to_size = r.out_height() * r.out_width() * inner;
  const int64_t grain = rows_per_chunk(between + r.out_height() * r.out_width() * strip);
  const Tensor middle = Tensor::empty({queue.pool().num_threads(), between});
  queue.pool().parallel_for((parts + grain - 1) / grain, [&](int64_t chunk, int worker) {
    const int64_t end = std::min(parts, (chunk + 1) * grain);
    for (int64_t i = chunk * grain; i < end; ++i) {
      const int64_t plane = i / strips, begin = i % strips * strip;
      VITRAIL_DISPATCH(ResampleMap)
      (r, {.inner = inner,
           .begin = begin,
           .end = std::min(inner, begin + strip),
           .from = from + plane * from_size,
           .middle = middle.f32() + worker * between,
           .to = to + plane * to_size});
    }
  });
}

}  // namespace

void interpolate(Queue& queue, const InterpolateArgs& args) {
  const MapResampling r{
      .columns = interpolation_taps(args, args.in_width, args.out_width, args.scale_width),
      .rows = interpolation_taps(args, args.in_height, args.out_height, args.scale_height),
      .in_height = args.in_height,
      .in_width = args.in_width,
      .columns_first = true};
  resample(queue, r, args.planes, args.inner, args.x, args.y);
}

void interpolate_backward(Queue& queue, const InterpolateBackwardArgs& args) {
  const InterpolateArgs& g = args.geometry;
  const MapResampling r{
      .columns = transposed_taps(interpolation_taps(g, g.in_width, g.out_width, g.scale_width),
                                 g.in_width),
      .rows = transposed_taps(interpolation_taps(g, g.in_height, g.out_height, g.scale_height),
                              g.in_height),
      .in_height = g.out_height,
      .in_width = g.out_width,
      .columns_first = false};
  resample(queue, r, g.planes, g.inner, args.dy, args.dx);
}

}  // namespace vitrail::kernels
#endif  // HWY_ONCE
