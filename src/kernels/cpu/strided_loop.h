// Walks several strided views of one shape in step: what copies and broadcasting share.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "core/queue.h"
#include "core/tensor.h"
#include "kernels/cpu/chunks.h"

namespace vitrail::kernels {

// The views as few axes as describe them, from the outermost to the innermost by where operand 0,
// which is written, lies. Axes that one stride describes in every operand are joined: a
// concatenation becomes two axes, a plain copy one.
template <int kOperands>
class StridedLoop {
 public:
  struct Axis {
    int64_t size = 1;
    std::array<int64_t, kOperands> strides{};  // in elements; 0 repeats an element
  };
  // A part of the last two axes, and where it begins in each operand.
  struct Block {
    Axis outer, inner;
    std::array<int64_t, kOperands> offsets{};
  };

  explicit StridedLoop(const std::array<View, kOperands>& views) {
    const Shape& shape = views[0].shape;
    empty_ = shape.numel() == 0;
    for (int i = 0; i < shape.rank(); ++i) {
      if (shape[i] == 1) continue;
      Axis& axis = axes_[rank_++];
      axis.size = shape[i];
      for (int operand = 0; operand < kOperands; ++operand)
        axis.strides[operand] = views[operand].strides[i];
    }
    std::stable_sort(axes_.begin(), axes_.begin() + rank_,
                     [](const Axis& a, const Axis& b) { return a.strides[0] > b.strides[0]; });
    int kept = 0;
    for (int i = 1; i < rank_; ++i)
      if (!join(axes_[kept], axes_[i])) axes_[++kept] = axes_[i];
    rank_ = rank_ == 0 ? 0 : kept + 1;
    // At least two axes, the innermost the one that is written in order.
    while (rank_ < 2) {
      std::copy_backward(axes_.begin(), axes_.begin() + rank_, axes_.begin() + rank_ + 1);
      axes_[0] = {};
      ++rank_;
    }
  }

  // The axis along which reads of `operand` lie closest comes second to last: with it, blocks of
  // both use every cache line they fetch. It changes no element's value.
  void bring_reads_inside(int operand) {
    if (axes_[rank_ - 1].strides[operand] == 1) return;
    for (int i = 0; i < rank_ - 2; ++i)
      if (axes_[i].strides[operand] == 1) {
        std::rotate(axes_.begin() + i, axes_.begin() + i + 1, axes_.begin() + rank_ - 1);
        return;
      }
  }

  // Calls body(block) until every element was in one. Threads take blocks, which shape alone fixes.
  template <class Body>
  void run(Queue& queue, const Body& body) const {
    if (empty_) return;
    const Axis &outer = axes_[rank_ - 2], &inner = axes_[rank_ - 1];
    int64_t around = 1;
    for (int i = 0; i + 2 < rank_; ++i) around *= axes_[i].size;
    // Strips of both axes, so that one large matrix, or one long row, is shared too.
    const int64_t width = std::min(inner.size, kMaxWidth);
    const int64_t widths = (inner.size + width - 1) / width;
    const int64_t strip = std::min(outer.size, (rows_per_chunk(width) + 15) / 16 * 16);
    const int64_t strips = (outer.size + strip - 1) / strip;
    queue.pool().parallel_ranges(around * strips * widths, rows_per_chunk(strip * width),
                                 [&](int64_t begin, int64_t end) {
                                   for (int64_t task = begin; task < end; ++task) {
                                     Block block{outer, inner, {}};
                                     const int64_t first_column = task % widths * width;
                                     const int64_t first_row = task / widths % strips * strip;
                                     int64_t rest = task / widths / strips;
                                     advance(block, inner, first_column);
                                     advance(block, outer, first_row);
                                     for (int i = rank_ - 3; i >= 0; --i) {
                                       advance(block, axes_[i], rest % axes_[i].size);
                                       rest /= axes_[i].size;
                                     }
                                     block.outer.size = std::min(strip, outer.size - first_row);
                                     block.inner.size = std::min(width, inner.size - first_column);
                                     body(block);
                                   }
                                 });
  }

 private:
  static constexpr int64_t kMaxWidth = 2 * kElementsPerChunk;

  static bool join(Axis& outer, const Axis& inner) {
    for (int i = 0; i < kOperands; ++i)
      if (outer.strides[i] != inner.size * inner.strides[i]) return false;
    outer = {outer.size * inner.size, inner.strides};
    return true;
  }
  static void advance(Block& block, const Axis& axis, int64_t steps) {
    for (int i = 0; i < kOperands; ++i) block.offsets[i] += steps * axis.strides[i];
  }

  std::array<Axis, Shape::kMaxRank + 2> axes_;
  int rank_ = 0;
  bool empty_ = false;
};

}  // namespace vitrail::kernels
