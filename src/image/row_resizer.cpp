#include "image/row_resizer.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "core/memory.h"

namespace vitrail {
namespace {

FixedWeights fixed_weights(const Axis& axis, Filter filter, int first, int count) {
  const Weights<double> exact = filter_weights<double>(axis, filter, first, count);
  FixedWeights fixed{exact.windows, std::vector<int32_t>(exact.values.size()), exact.stride};
  for (size_t i = 0; i < exact.values.size(); ++i) {
    const double value = exact.values[i];
    fixed.values[i] =
        static_cast<int32_t>((value < 0 ? -0.5 : 0.5) + value * (int32_t{1} << kPrecisionBits));
  }
  return fixed;
}

int end_of(const Window& window) {
  return window.begin + window.count;
}

}  // namespace

RowResizer::RowResizer(const RowResizeRequest& request)
    : request_(request),
      resizes_across_(is_resized(request.across)),
      resizes_down_(is_resized(request.down)),
      source_(request.keep) {
  const PixelWindow& keep = request.keep;
  const int width = keep.x1 - keep.x0;
  row_bytes_ = static_cast<size_t>(width) * static_cast<size_t>(request.channels);
  int high = 1;
  if (resizes_across_) {
    columns_ = fixed_weights(request.across, request.filter, keep.x0, width);
    source_.x0 = columns_.windows.front().begin;
    source_.x1 = end_of(columns_.windows.back());
    scratch_.resize(across_scratch_bytes(columns_, request.channels) + kAlignment);
  }
  if (resizes_down_) {
    rows_ = fixed_weights(request.down, request.filter, keep.y0, keep.y1 - keep.y0);
    source_.y0 = rows_.windows.front().begin;
    source_.y1 = end_of(rows_.windows.back());
    for (const Window& window : rows_.windows) high = std::max(high, window.count);
    out_.resize(row_bytes_);
    window_rows_.resize(static_cast<size_t>(high));
  }
  // A block arrives while its first rows may still be missed by a window that began before it.
  ring_rows_ = high + kBlockRows;
  ring_.resize(static_cast<size_t>(ring_rows_) * row_bytes_);
}

void RowResizer::take(const uint8_t* const* rows, int first, int count) {
  uint8_t* to[kBlockRows];
  for (int i = 0; i < count; ++i) to[i] = ring_row(first + i);
  if (!resizes_across_) {
    const size_t offset = static_cast<size_t>(source_.x0) * static_cast<size_t>(request_.channels);
    for (int i = 0; i < count; ++i) std::memcpy(to[i], rows[i] + offset, row_bytes_);
    return;
  }
  void* aligned = scratch_.data();
  size_t space = scratch_.size();
  std::align(kAlignment, space - kAlignment, aligned, space);
  resize_across({.from = rows,
                 .to = to,
                 .rows = count,
                 .channels = request_.channels,
                 .weights = &columns_,
                 .scratch = static_cast<uint8_t*>(aligned)});
}

void RowResizer::write_row(int y, FunctionRef<void(int, const uint8_t*)> write) {
  const Window& window = rows_.windows[static_cast<size_t>(y)];
  for (int i = 0; i < window.count; ++i)
    window_rows_[static_cast<size_t>(i)] = ring_row(window.begin + i);
  resize_down({.rows = window_rows_.data(),
               .weights = rows_.values.data() + static_cast<size_t>(y) * rows_.stride,
               .count = window.count,
               .bytes = row_bytes_,
               .to = out_.data()});
  write(y, out_.data());
}

void RowResizer::run(FunctionRef<const uint8_t* const*(int)> read,
                     FunctionRef<void(int, const uint8_t*)> write) {
  const int height = request_.keep.y1 - request_.keep.y0;
  int next = 0;  // row to write
  for (int first = source_.y0; first < source_.y1; first += kBlockRows) {
    const int count = std::min(kBlockRows, source_.y1 - first);
    take(read(count), first, count);
    if (resizes_down_)
      while (next < height && end_of(rows_.windows[static_cast<size_t>(next)]) <= first + count)
        write_row(next++, write);
    else
      for (int i = 0; i < count; ++i) write(next++, ring_row(first + i));
  }
}

}  // namespace vitrail
