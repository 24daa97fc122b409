#include "kernels/reduce.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/reduce.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/cpu/vector_loop-inl.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels::HWY_NAMESPACE {

// Adds rows in blocks of 64 first, so that the error grows with rows / 64 rather than with rows.
constexpr int64_t kRowsPerBlock = 64;

// out[0 .. width) += the sum of rows first, first + period, ... of columns [column, column +
// width), width <= 4 vectors, which stay in registers.
void SumRowsColumns(const SumRowsArgs& args, int64_t first, int64_t column, int64_t width) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  float* out = args.out + first * args.dim + column;
  const auto term = [&](int64_t row, int64_t j, int64_t count) {
    const auto load = [&](const float* from) {
      return count == lanes ? hn::LoadU(d, from) : LoadTail(d, from, static_cast<size_t>(count));
    };
    const auto x = load(args.x + row * args.x_stride + column + j);
    if (args.y == nullptr) return x;
    return hn::Mul(x, load(args.y + row * args.y_stride + column + j));
  };
  if (width == 4 * lanes) {
    auto total0 = hn::Zero(d), total1 = hn::Zero(d), total2 = hn::Zero(d), total3 = hn::Zero(d);
    for (int64_t start = first; start < args.rows; start += kRowsPerBlock * args.period) {
      const int64_t stop = HWY_MIN(args.rows, start + kRowsPerBlock * args.period);
      auto sum0 = hn::Zero(d), sum1 = hn::Zero(d), sum2 = hn::Zero(d), sum3 = hn::Zero(d);
      for (int64_t row = start; row < stop; row += args.period) {
        sum0 = hn::Add(sum0, term(row, 0, lanes));
        sum1 = hn::Add(sum1, term(row, lanes, lanes));
        sum2 = hn::Add(sum2, term(row, 2 * lanes, lanes));
        sum3 = hn::Add(sum3, term(row, 3 * lanes, lanes));
      }
      total0 = hn::Add(total0, sum0);
      total1 = hn::Add(total1, sum1);
      total2 = hn::Add(total2, sum2);
      total3 = hn::Add(total3, sum3);
    }
    hn::StoreU(hn::Add(hn::LoadU(d, out), total0), d, out);
    hn::StoreU(hn::Add(hn::LoadU(d, out + lanes), total1), d, out + lanes);
    hn::StoreU(hn::Add(hn::LoadU(d, out + 2 * lanes), total2), d, out + 2 * lanes);
    hn::StoreU(hn::Add(hn::LoadU(d, out + 3 * lanes), total3), d, out + 3 * lanes);
    return;
  }
  for (int64_t j = 0; j < width; j += lanes) {
    const int64_t count = HWY_MIN(lanes, width - j);
    auto total = hn::Zero(d);
    for (int64_t start = first; start < args.rows; start += kRowsPerBlock * args.period) {
      const int64_t stop = HWY_MIN(args.rows, start + kRowsPerBlock * args.period);
      auto sum = hn::Zero(d);
      for (int64_t row = start; row < stop; row += args.period)
        sum = hn::Add(sum, term(row, j, count));
      total = hn::Add(total, sum);
    }
    Transform(
        d, out + j, count, [&](auto v) { return hn::Add(v, total); }, out + j);
  }
}

// Every column of the rows first, first + period, ...
void SumRowsRange(const SumRowsArgs& args, int64_t first, int64_t begin, int64_t end) {
  const int64_t step = 4 * static_cast<int64_t>(hn::Lanes(hn::ScalableTag<float>()));
  for (int64_t column = begin; column < end; column += step)
    SumRowsColumns(args, first, column, HWY_MIN(step, end - column));
}

// out[i] = scale * sum over a of x[a * inner + i]
void MeanAxisSpan(const MeanAxisArgs& args, int64_t outer, int64_t begin, int64_t end) {
  const hn::ScalableTag<float> d;
  const auto factor = hn::Set(d, 1.0f / static_cast<float>(args.axis));
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const float* x = args.x + outer * args.axis * args.inner;
  float* out = args.out + outer * args.inner;
  for (int64_t i = begin; i < end; i += lanes) {
    const size_t count = static_cast<size_t>(HWY_MIN(lanes, end - i));
    const bool whole = count == static_cast<size_t>(lanes);
    auto sum = hn::Zero(d);
    for (int64_t a = 0; a < args.axis; ++a) {
      const float* from = x + a * args.inner + i;
      sum = hn::Add(sum, whole ? hn::LoadU(d, from) : LoadTail(d, from, count));
    }
    StoreTail(d, hn::Mul(sum, factor), out + i, count);
  }
}

void MeanAxisBackwardRow(const MeanAxisBackwardArgs& args, int64_t outer) {
  const hn::ScalableTag<float> d;
  const auto factor = hn::Set(d, 1.0f / static_cast<float>(args.axis));
  for (int64_t a = 0; a < args.axis; ++a)
    Transform(
        d, args.dx + (outer * args.axis + a) * args.inner, args.inner,
        [&](auto v) { return hn::Mul(v, factor); }, args.dy + outer * args.inner);
}

float SumSquaresSpan(int64_t count, const float* x) {
  return SumRange(
      hn::ScalableTag<float>(), count, [](auto v) { return hn::Mul(v, v); }, x);
}

}  // namespace vitrail::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/cpu/chunks.h"
#include "kernels/cpu/dispatch.h"
#include "kernels/cpu/parallel_chunks.h"

namespace vitrail::kernels {

HWY_EXPORT(SumRowsRange);
HWY_EXPORT(MeanAxisSpan);
HWY_EXPORT(MeanAxisBackwardRow);
HWY_EXPORT(SumSquaresSpan);

void sum_rows(Queue& queue, const SumRowsArgs& args) {
  // A task is a strip of columns of one row of `out`; strips are multiples of every register tile.
  constexpr int64_t kStrip = 128;
  const int64_t strips = (args.dim + kStrip - 1) / kStrip;
  const int64_t additions = args.rows / std::max<int64_t>(1, args.period) * kStrip;
  queue.pool().parallel_ranges(
      args.period * strips, rows_per_chunk(additions), [&](int64_t begin, int64_t end) {
        for (int64_t task = begin; task < end; ++task) {
          const int64_t column = task % strips * kStrip;
          VITRAIL_DISPATCH(SumRowsRange)
          (args, task / strips, column, std::min(args.dim, column + kStrip));
        }
      });
}

void mean_axis(Queue& queue, const MeanAxisArgs& args) {
  queue.pool().parallel_ranges(
      args.outer, rows_per_chunk(args.axis * args.inner), [&](int64_t begin, int64_t end) {
        for (int64_t outer = begin; outer < end; ++outer)
          VITRAIL_DISPATCH(MeanAxisSpan)(args, outer, int64_t{0}, args.inner);
      });
}

void mean_axis_backward(Queue& queue, const MeanAxisBackwardArgs& args) {
  queue.pool().parallel_ranges(args.outer, rows_per_chunk(args.axis * args.inner),
                               [&](int64_t begin, int64_t end) {
                                 for (int64_t outer = begin; outer < end; ++outer)
                                   VITRAIL_DISPATCH(MeanAxisBackwardRow)(args, outer);
                               });
}

void sum_squares(Queue& queue, int64_t count, const float* x, double* out) {
  const std::span<const float> array(x, static_cast<size_t>(count));
  sum_squares(queue, std::span(&array, 1), out);
}

void sum_squares(Queue& queue, std::span<const std::span<const float>> arrays, double* out) {
  constexpr int64_t kSpan = 1024, kChunk = 64 * kSpan;
  const auto count_of = [&](size_t i) { return static_cast<int64_t>(arrays[i].size()); };
  int64_t chunks = 0;
  for (size_t i = 0; i < arrays.size(); ++i) chunks += (count_of(i) + kChunk - 1) / kChunk;
  const Tensor sums = Tensor::empty({chunks}, DType::f64);
  parallel_chunks(queue, arrays.size(), kChunk, count_of,
                  [&](size_t i, int64_t chunk, int64_t begin, int64_t end) {
                    double sum = 0;
                    for (int64_t at = begin; at < end; at += kSpan)
                      sum += VITRAIL_DISPATCH(SumSquaresSpan)(std::min(kSpan, end - at),
                                                              arrays[i].data() + at);
                    sums.data<double>()[chunk] = sum;
                  });
  for (int64_t chunk = 0; chunk < chunks; ++chunk) *out += sums.data<double>()[chunk];
}

}  // namespace vitrail::kernels
#endif  // HWY_ONCE
