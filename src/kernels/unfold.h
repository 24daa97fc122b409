// Patches of a picture as rows of a matrix (im2col) and the adjoint: what turns a convolution into
// a matrix product.
#pragma once

#include <cstdint>

#include "core/queue.h"

namespace vitrail::kernels {

// How the elements of a patch are ordered within a row.
enum class PatchOrder : uint8_t {
  channel_first,  // (c, kh, kw): the layout of a convolution weight [out, c, kh, kw]
  channel_last    // (kh, kw, c): "b c (h p1) (w p2) -> b (h w) (p1 p2 c)"
};

struct UnfoldGeometry {
  int64_t batch = 0, channels = 0, height = 0, width = 0;
  int64_t kernel_height = 1, kernel_width = 1;
  int64_t stride_height = 1, stride_width = 1;
  int64_t padding_height = 0, padding_width = 0;  // zeros on both sides
  PatchOrder order = PatchOrder::channel_first;

  int64_t out_height() const {
    return (height + 2 * padding_height - kernel_height) / stride_height + 1;
  }
  int64_t out_width() const {
    return (width + 2 * padding_width - kernel_width) / stride_width + 1;
  }
  int64_t rows() const { return batch * out_height() * out_width(); }
  int64_t columns() const { return channels * kernel_height * kernel_width; }
};

// columns[rows(), columns()] = patches of image [batch, channels, height, width], both contiguous
// f32; zero where a patch leaves the picture. Row (b, oh, ow) is the patch whose corner is
// (oh stride - padding, ow stride - padding). Threads take lines of patches (b, oh).
void unfold(Queue& queue, const UnfoldGeometry& geometry, const float* image, float* columns);

// The rows of some lines of patches alone, [begin, end) of batch * out_height(): columns
// [(end - begin) * out_width(), columns()].
struct PatchLines {
  int64_t begin = 0, end = 0;
};
void unfold_lines(Queue& queue, const UnfoldGeometry& geometry, const PatchLines& lines,
                  const float* image, float* columns);

// image = sum of the patches that cover each pixel: the adjoint of unfold. A pixel adds its patches
// in their order. Threads take groups of planes (b, c).
void fold(Queue& queue, const UnfoldGeometry& geometry, const float* columns, float* image);

}  // namespace vitrail::kernels
