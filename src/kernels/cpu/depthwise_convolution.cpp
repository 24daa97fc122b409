#include "kernels/depthwise_convolution.h"

#include <algorithm>
#include <cassert>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/depthwise_convolution.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/cpu/vector_loop-inl.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels::HWY_NAMESPACE {

using DepthwiseTag = hn::ScalableTag<float>;

// Taps [begin, end) of one axis, those that lie within the picture, and the pixel of tap 0.
struct DepthwiseTaps {
  int64_t begin, end, origin;
};
HWY_INLINE DepthwiseTaps TapsOfRow(const DepthwiseGeometry& g, int64_t out) {
  const int64_t origin = out * g.stride_height - g.padding_height, d = g.dilation_height;
  return {origin >= 0 ? 0 : (-origin + d - 1) / d,
          std::min(g.kernel_height, (g.height - origin + d - 1) / d), origin};
}
HWY_INLINE DepthwiseTaps TapsOfColumn(const DepthwiseGeometry& g, int64_t out) {
  const int64_t origin = out * g.stride_width - g.padding_width, d = g.dilation_width;
  return {origin >= 0 ? 0 : (-origin + d - 1) / d,
          std::min(g.kernel_width, (g.width - origin + d - 1) / d), origin};
}

// kColumns neighbouring outputs, which share taps: a weight is loaded once for all of them.
template <int kColumns>
void DepthwiseOutputs(const DepthwiseArgs& args, const DepthwiseTaps& rows,
                      const DepthwiseTaps& columns, const float* picture, float* y) {
  const DepthwiseGeometry& g = args.geometry;
  const int64_t step = g.stride_width * g.channels;
  ForEachRegister(0, g.channels, [&](int64_t c, auto load, auto store) HWY_ATTR {
    hn::Vec<DepthwiseTag> sum[kColumns];
    const auto first = args.bias == nullptr ? hn::Zero(DepthwiseTag()) : load(args.bias + c);
    for (int i = 0; i < kColumns; ++i) sum[i] = first;
    for (int64_t m = rows.begin; m < rows.end; ++m) {
      const float* line = picture + (rows.origin + m * g.dilation_height) * g.width * g.channels;
      for (int64_t n = columns.begin; n < columns.end; ++n) {
        const auto weight = load(args.weight + (m * g.kernel_width + n) * g.channels + c);
        const float* x = line + (columns.origin + n * g.dilation_width) * g.channels + c;
        HWY_UNROLL(8)
        for (int i = 0; i < kColumns; ++i) sum[i] = hn::MulAdd(load(x + i * step), weight, sum[i]);
      }
    }
    for (int i = 0; i < kColumns; ++i) store(sum[i], y + i * g.channels + c);
  });
}

// Lines [begin, end) of batch * out_height.
void DepthwiseLines(const DepthwiseArgs& args, int64_t begin, int64_t end) {
  constexpr int kColumns = 6;
  const DepthwiseGeometry& g = args.geometry;
  const int64_t out_height = g.out_height(), out_width = g.out_width();
  const auto whole = [&](const DepthwiseTaps& taps) {
    return taps.begin == 0 && taps.end == g.kernel_width;
  };
  for (int64_t line = begin; line < end; ++line) {
    const float* picture = args.x + line / out_height * g.height * g.width * g.channels;
    const DepthwiseTaps rows = TapsOfRow(g, line % out_height);
    float* y = args.y + line * out_width * g.channels;
    int64_t j = 0;
    while (j < out_width) {
      const DepthwiseTaps columns = TapsOfColumn(g, j);
      if (j + kColumns <= out_width && whole(columns) && whole(TapsOfColumn(g, j + kColumns - 1))) {
        DepthwiseOutputs<kColumns>(args, rows, columns, picture, y + j * g.channels);
        j += kColumns;
      } else {
        DepthwiseOutputs<1>(args, rows, columns, picture, y + j * g.channels);
        ++j;
      }
    }
  }
}

// Lines [begin, end) of batch * height, by a pixel's taps.
void DepthwiseInputLines(const DepthwiseInputGradientArgs& args, int64_t begin, int64_t end) {
  const DepthwiseGeometry& g = args.geometry;
  const int64_t out_height = g.out_height(), out_width = g.out_width();
  // The output that tap m of a kernel lays on pixel `at`, or -1.
  const auto output = [](int64_t at, int64_t padding, int64_t tap, int64_t dilation, int64_t stride,
                         int64_t count) {
    const int64_t scaled = at + padding - tap * dilation;
    return scaled < 0 || scaled % stride != 0 || scaled / stride >= count ? -1 : scaled / stride;
  };
  for (int64_t line = begin; line < end; ++line) {
    const float* dy = args.dy + line / g.height * out_height * out_width * g.channels;
    for (int64_t w = 0; w < g.width; ++w) {
      float* dx = args.dx + (line * g.width + w) * g.channels;
      std::fill_n(dx, g.channels, 0.0f);
      for (int64_t m = 0; m < g.kernel_height; ++m) {
        const int64_t i = output(line % g.height, g.padding_height, m, g.dilation_height,
                                 g.stride_height, out_height);
        if (i < 0) continue;
        for (int64_t n = 0; n < g.kernel_width; ++n) {
          const int64_t j =
              output(w, g.padding_width, n, g.dilation_width, g.stride_width, out_width);
          if (j < 0) continue;
          Transform(
              DepthwiseTag(), dx, g.channels,
              [](auto sum, auto gradient, auto weight) {
                return hn::MulAdd(gradient, weight, sum);
              },
              dx, dy + (i * out_width + j) * g.channels,
              args.weight + (m * g.kernel_width + n) * g.channels);
        }
      }
    }
  }
}

// Outputs [begin, end) of an axis whose tap n lies within the picture.
struct DepthwiseOutputRange {
  int64_t begin, end;
};
HWY_INLINE DepthwiseOutputRange OutputsOfTap(const DepthwiseGeometry& g, int64_t tap) {
  const int64_t left = g.padding_width - tap * g.dilation_width, s = g.stride_width;
  return {left > 0 ? (left + s - 1) / s : 0, std::min(g.out_width(), (g.width - 1 + left + s) / s)};
}

// One line of dy [out_width, channels] and the line of x that kernel row m reads for it.
struct DepthwiseLinePair {
  const float *dy, *x;
  float* sums;  // [kernel_width, channels] of row m
};

// sums += for taps [tap, tap + kTaps): a gradient is loaded once for all of them where they all lie
// within the picture; the pixels at the edges follow, tap by tap.
template <int kTaps>
void AddWeightTaps(const DepthwiseGeometry& g, const DepthwiseLinePair& line, int64_t tap) {
  const int64_t channels = g.channels, step = g.stride_width * channels;
  DepthwiseOutputRange range[kTaps];
  const float* x[kTaps];  // of output 0
  int64_t begin = 0, end = g.out_width();
  for (int t = 0; t < kTaps; ++t) {
    range[t] = OutputsOfTap(g, tap + t);
    x[t] = line.x + ((tap + t) * g.dilation_width - g.padding_width) * channels;
    begin = std::max(begin, range[t].begin);
    end = std::min(end, range[t].end);
  }
  end = std::max(begin, end);
  ForEachRegister(0, channels, [&](int64_t c, auto load, auto store) HWY_ATTR {
    hn::Vec<DepthwiseTag> sum[kTaps];
    for (int t = 0; t < kTaps; ++t) sum[t] = hn::Zero(DepthwiseTag());
    for (int64_t j = begin; j < end; ++j) {
      const auto gradient = load(line.dy + j * channels + c);
      HWY_UNROLL(4)
      for (int t = 0; t < kTaps; ++t)
        sum[t] = hn::MulAdd(gradient, load(x[t] + j * step + c), sum[t]);
    }
    for (int t = 0; t < kTaps; ++t) {
      const auto add = [&](int64_t first, int64_t last) HWY_ATTR {
        for (int64_t j = first; j < last; ++j)
          sum[t] = hn::MulAdd(load(line.dy + j * channels + c), load(x[t] + j * step + c), sum[t]);
      };
      add(range[t].begin, std::min(range[t].end, begin));
      add(std::max(range[t].begin, end), range[t].end);
      float* to = line.sums + (tap + t) * channels + c;
      store(hn::Add(load(to), sum[t]), to);
    }
  });
}

// sums [taps, channels] and bias_sums [channels] += those of lines [begin, end) of dy; either may
// be null.
void DepthwiseWeightLines(const DepthwiseWeightGradientArgs& args, int64_t begin, int64_t end,
                          float* sums, float* bias_sums) {
  const DepthwiseGeometry& g = args.geometry;
  const int64_t out_height = g.out_height(), out_width = g.out_width(), channels = g.channels;
  for (int64_t line = begin; line < end; ++line) {
    const float* dy = args.dy + line * out_width * channels;
    for (int64_t j = 0; bias_sums != nullptr && j < out_width; ++j)
      Transform(
          DepthwiseTag(), bias_sums, channels, [](auto sum, auto v) { return hn::Add(sum, v); },
          bias_sums, dy + j * channels);
    if (sums == nullptr) continue;
    const float* picture = args.x + line / out_height * g.height * g.width * channels;
    const DepthwiseTaps rows = TapsOfRow(g, line % out_height);
    for (int64_t m = rows.begin; m < rows.end; ++m) {
      const DepthwiseLinePair pair{
          .dy = dy,
          .x = picture + (rows.origin + m * g.dilation_height) * g.width * channels,
          .sums = sums + m * g.kernel_width * channels};
      int64_t n = 0;
      for (; n + 4 <= g.kernel_width; n += 4) AddWeightTaps<4>(g, pair, n);
      if (g.kernel_width - n == 3) AddWeightTaps<3>(g, pair, n);
      if (g.kernel_width - n == 2) AddWeightTaps<2>(g, pair, n);
      if (g.kernel_width - n == 1) AddWeightTaps<1>(g, pair, n);
    }
  }
}

}  // namespace vitrail::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/cpu/chunks.h"
#include "kernels/cpu/dispatch.h"

namespace vitrail::kernels {
namespace {

HWY_EXPORT(DepthwiseLines);
HWY_EXPORT(DepthwiseInputLines);
HWY_EXPORT(DepthwiseWeightLines);

// The convolution that is the adjoint of `g` with its taps in the reverse order: so it is where
// windows advance pixel by pixel and do not lie beyond the edge entirely.
bool adjoint_is_convolution(const DepthwiseGeometry& g) {
  return g.stride_height == 1 && g.stride_width == 1 &&
         g.padding_height <= g.dilation_height * (g.kernel_height - 1) &&
         g.padding_width <= g.dilation_width * (g.kernel_width - 1);
}
DepthwiseGeometry adjoint(const DepthwiseGeometry& g) {
  DepthwiseGeometry back = g;
  back.height = g.out_height();
  back.width = g.out_width();
  back.padding_height = g.dilation_height * (g.kernel_height - 1) - g.padding_height;
  back.padding_width = g.dilation_width * (g.kernel_width - 1) - g.padding_width;
  return back;
}

}  // namespace

void depthwise_convolution(Queue& queue, const DepthwiseArgs& args) {
  const DepthwiseGeometry& g = args.geometry;
  queue.pool().parallel_ranges(g.batch * g.out_height(),
                               rows_per_chunk(g.out_width() * g.channels * g.taps() / 4),
                               [&](int64_t begin, int64_t end) {
                                 VITRAIL_DISPATCH(DepthwiseLines)
                                 (args, begin, end);
                               });
}

void depthwise_input_gradient(Queue& queue, const DepthwiseInputGradientArgs& args) {
  const DepthwiseGeometry& g = args.geometry;
  if (adjoint_is_convolution(g)) {
    const Tensor turned = Tensor::empty({g.taps(), g.channels});
    for (int64_t tap = 0; tap < g.taps(); ++tap)
      std::copy_n(args.weight + tap * g.channels, g.channels,
                  turned.f32() + (g.taps() - 1 - tap) * g.channels);
    return depthwise_convolution(
        queue, {.geometry = adjoint(g), .x = args.dy, .weight = turned.f32(), .y = args.dx});
  }
  queue.pool().parallel_ranges(g.batch * g.height,
                               rows_per_chunk(g.width * g.channels * g.taps() / 4),
                               [&](int64_t begin, int64_t end) {
                                 VITRAIL_DISPATCH(DepthwiseInputLines)
                                 (args, begin, end);
                               });
}

void depthwise_weight_gradient(Queue& queue, const DepthwiseWeightGradientArgs& args) {
  constexpr int64_t kPieces = 16;
  const DepthwiseGeometry& g = args.geometry;
  const int64_t lines = g.batch * g.out_height(), taps = g.taps();
  const int64_t per_piece = std::max<int64_t>(1, (lines + kPieces - 1) / kPieces);
  const int64_t pieces = (lines + per_piece - 1) / per_piece;
  const int64_t size = (taps + 1) * g.channels;
  const Tensor partial = Tensor::zeros({pieces, size});
  queue.pool().parallel_for(pieces, [&](int64_t piece, int) {
    float* sums = partial.f32() + piece * size;
    VITRAIL_DISPATCH(DepthwiseWeightLines)
    (args, piece * per_piece, std::min(lines, (piece + 1) * per_piece),
     args.dweight == nullptr ? nullptr : sums,
     args.dbias == nullptr ? nullptr : sums + taps * g.channels);
  });
  const auto join = [&](int64_t offset, int64_t count, float* out) {
    if (out == nullptr) return;
    std::fill_n(out, count, 0.0f);
    for (int64_t piece = 0; piece < pieces; ++piece)
      for (int64_t i = 0; i < count; ++i) out[i] += partial.f32()[piece * size + offset + i];
  };
  join(0, taps * g.channels, args.dweight);
  join(taps * g.channels, g.channels, args.dbias);
}

}  // namespace vitrail::kernels
#endif  // HWY_ONCE
