#include "kernels/reduce.h"

#include <cmath>

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

float SumSpan(int64_t count, const float* x, const float* y) {
  const hn::ScalableTag<float> d;
  if (y == nullptr)
    return SumRange(
        d, count, [](auto v) { return v; }, x);
  return SumRange(
      d, count, [](auto u, auto v) { return hn::Mul(u, v); }, x, y);
}

// Whether a value that comes later takes the place of the largest so far: higher, or the first NaN.
// Indices are kept beside values, lane by lane.
template <class D, class V = hn::Vec<D>>
HWY_INLINE hn::Mask<D> Wins(D, V value, V best) {
  return hn::Or(hn::Gt(value, best), hn::AndNot(hn::IsNaN(best), hn::IsNaN(value)));
}

// Rows of inner values: each lane is a row of its own. Indices travel through float registers, bit
// by bit.
void MaxAxisColumns(const MaxAxisArgs& args, int64_t outer) {
  const hn::ScalableTag<float> d;
  const hn::RebindToSigned<decltype(d)> di;
  const float* x = args.x + outer * args.axis * args.inner;
  float* out = args.out + outer * args.inner;
  auto* index = reinterpret_cast<float*>(args.index);
  ForEachRegister(0, args.inner, [&](int64_t i, auto load, auto store) HWY_ATTR {
    auto best = load(x + i);
    auto winner = hn::Zero(di);
    for (int64_t a = 1; a < args.axis; ++a) {
      const auto value = load(x + a * args.inner + i);
      const auto wins = Wins(d, value, best);
      best = hn::IfThenElse(wins, value, best);
      winner =
          hn::IfThenElse(hn::RebindMask(di, wins), hn::Set(di, static_cast<int32_t>(a)), winner);
    }
    store(best, out + i);
    if (index != nullptr) store(hn::BitCast(d, winner), index + outer * args.inner + i);
  });
}

// One row, inner 1: a lane keeps its own first maximum; then the lanes are compared.
void MaxAxisRow(const MaxAxisArgs& args, int64_t outer) {
  const hn::ScalableTag<float> d;
  const hn::RebindToSigned<decltype(d)> di;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const float* x = args.x + outer * args.axis;
  float best = x[0];
  int32_t winner = 0;
  const auto consider = [&](float value, int32_t at) {
    const bool first_nan = std::isnan(value) && (!std::isnan(best) || at < winner);
    const bool higher = !std::isnan(best) && (value > best || (value == best && at < winner));
    if (!first_nan && !higher) return;
    best = value;
    winner = at;
  };
  int64_t i = 0;
  if (args.axis >= lanes) {
    auto high = hn::LoadU(d, x);
    auto place = hn::Iota(di, 0);
    auto winners = place;
    const auto step = hn::Set(di, static_cast<int32_t>(lanes));
    for (i = lanes; i + lanes <= args.axis; i += lanes) {
      place = hn::Add(place, step);
      const auto value = hn::LoadU(d, x + i);
      const auto wins = Wins(d, value, high);
      high = hn::IfThenElse(wins, value, high);
      winners = hn::IfThenElse(hn::RebindMask(di, wins), place, winners);
    }
    HWY_ALIGN float values[HWY_MAX_BYTES / sizeof(float)];
    HWY_ALIGN int32_t places[HWY_MAX_BYTES / sizeof(int32_t)];
    hn::Store(high, d, values);
    hn::Store(winners, di, places);
    best = values[0];
    winner = places[0];
    for (int64_t lane = 1; lane < lanes; ++lane) consider(values[lane], places[lane]);
  }
  for (; i < args.axis; ++i) consider(x[i], static_cast<int32_t>(i));
  args.out[outer] = best;
  if (args.index != nullptr) args.index[outer] = winner;
}

float SumSquaresSpan(int64_t count, const float* x) {
  return SumRange(
      hn::ScalableTag<float>(), count, [](auto v) { return hn::Mul(v, v); }, x);
}

}  // namespace vitrail::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <cassert>
#include <limits>

#include "kernels/cpu/chunks.h"
#include "kernels/cpu/dispatch.h"
#include "kernels/cpu/parallel_chunks.h"

namespace vitrail::kernels {

HWY_EXPORT(SumRowsRange);
HWY_EXPORT(MeanAxisSpan);
HWY_EXPORT(MeanAxisBackwardRow);
HWY_EXPORT(SumSquaresSpan);
HWY_EXPORT(SumSpan);
HWY_EXPORT(MaxAxisColumns);
HWY_EXPORT(MaxAxisRow);

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

namespace {

// Inner 1. A long row is cut into pieces, whose sums are joined in order.
void sum_lines(Queue& queue, const SumAxisArgs& args) {
  const int64_t pieces = (args.axis + kElementsPerChunk - 1) / kElementsPerChunk;
  const auto piece = [&](int64_t outer, int64_t index) {
    const int64_t begin = index * kElementsPerChunk, at = outer * args.axis + begin;
    return VITRAIL_DISPATCH(SumSpan)(std::min(kElementsPerChunk, args.axis - begin), args.x + at,
                                     args.y == nullptr ? nullptr : args.y + at);
  };
  if (pieces <= 1) {
    queue.pool().parallel_ranges(args.outer, rows_per_chunk(args.axis),
                                 [&](int64_t begin, int64_t end) {
                                   for (int64_t outer = begin; outer < end; ++outer)
                                     args.out[outer] = pieces == 0 ? 0.0f : piece(outer, 0);
                                 });
    return;
  }
  const Tensor sums = Tensor::empty({args.outer, pieces});
  queue.pool().parallel_for(args.outer * pieces, [&](int64_t task, int) {
    sums.f32()[task] = piece(task / pieces, task % pieces);
  });
  for (int64_t outer = 0; outer < args.outer; ++outer) {
    double sum = 0;
    for (int64_t i = 0; i < pieces; ++i) sum += sums.f32()[outer * pieces + i];
    args.out[outer] = static_cast<float>(sum);
  }
}

}  // namespace

void sum_axis(Queue& queue, const SumAxisArgs& args) {
  if (args.inner == 1) return sum_lines(queue, args);
  constexpr int64_t kStrip = 128;  // as sum_rows
  const int64_t strips = (args.inner + kStrip - 1) / kStrip;
  const auto rows_of = [&](int64_t outer) {
    const int64_t at = outer * args.axis * args.inner;
    return SumRowsArgs{.rows = args.axis,
                       .dim = args.inner,
                       .x = args.x + at,
                       .x_stride = args.inner,
                       .y = args.y == nullptr ? nullptr : args.y + at,
                       .y_stride = args.inner,
                       .out = args.out + outer * args.inner};
  };
  queue.pool().parallel_ranges(
      args.outer * strips, rows_per_chunk(args.axis * std::min(kStrip, args.inner)),
      [&](int64_t begin, int64_t end) {
        for (int64_t task = begin; task < end; ++task) {
          const SumRowsArgs rows = rows_of(task / strips);
          const int64_t first = task % strips * kStrip, last = std::min(args.inner, first + kStrip);
          std::fill(rows.out + first, rows.out + last, 0.0f);
          VITRAIL_DISPATCH(SumRowsRange)(rows, int64_t{0}, first, last);
        }
      });
}

void max_axis(Queue& queue, const MaxAxisArgs& args) {
  assert(args.axis > 0 && args.axis <= std::numeric_limits<int32_t>::max());
  queue.pool().parallel_ranges(args.outer, rows_per_chunk(args.axis * args.inner),
                               [&](int64_t begin, int64_t end) {
                                 for (int64_t outer = begin; outer < end; ++outer)
                                   if (args.inner == 1)
                                     VITRAIL_DISPATCH(MaxAxisRow)(args, outer);
                                   else
                                     VITRAIL_DISPATCH(MaxAxisColumns)(args, outer);
                               });
}

void max_axis_backward(Queue& queue, const MaxAxisBackwardArgs& args) {
  const int64_t size = args.axis * args.inner;
  queue.pool().parallel_ranges(args.outer, rows_per_chunk(size), [&](int64_t begin, int64_t end) {
    for (int64_t outer = begin; outer < end; ++outer) {
      float* dx = args.dx + outer * size;
      std::fill_n(dx, size, 0.0f);
      for (int64_t i = 0; i < args.inner; ++i) {
        const int64_t at = outer * args.inner + i;
        dx[args.index[at] * args.inner + i] = args.dy[at];
      }
    }
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
