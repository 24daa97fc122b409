#include "kernels/unfold.h"

#include <algorithm>
#include <cstring>

#include "kernels/cpu/chunks.h"

namespace vitrail::kernels {
namespace {

// The part [begin, end) of a kernel axis that lies inside the picture when the window starts at
// `corner`.
struct Inside {
  int64_t begin, end;
  Inside(int64_t corner, int64_t kernel, int64_t size)
      : begin(std::min(kernel, std::max<int64_t>(0, -corner))),
        end(std::max(begin, std::min(kernel, size - corner))) {}
};

// Offsets of element (c, kh, kw) within a row of columns.
struct PatchLayout {
  int64_t channel, row, column;
  explicit PatchLayout(const UnfoldGeometry& g)
      : channel(g.order == PatchOrder::channel_first ? g.kernel_height * g.kernel_width : 1),
        row(g.order == PatchOrder::channel_first ? g.kernel_width : g.kernel_width * g.channels),
        column(g.order == PatchOrder::channel_first ? 1 : g.channels) {}
};

void unfold_patch(const UnfoldGeometry& g, const PatchLayout& layout, const float* picture,
                  int64_t top, int64_t left, float* patch) {
  const Inside rows(top, g.kernel_height, g.height), columns(left, g.kernel_width, g.width);
  const bool whole = rows.begin == 0 && rows.end == g.kernel_height && columns.begin == 0 &&
                     columns.end == g.kernel_width;
  if (!whole) std::fill_n(patch, g.columns(), 0.0f);
  for (int64_t c = 0; c < g.channels; ++c)
    for (int64_t kh = rows.begin; kh < rows.end; ++kh) {
      const float* from = picture + (c * g.height + top + kh) * g.width + left;
      float* to = patch + c * layout.channel + kh * layout.row;
      if (layout.column == 1 && whole && g.kernel_width == 3)
        std::memcpy(to, from, 3 * sizeof(float));
      else if (layout.column == 1)
        for (int64_t kw = columns.begin; kw < columns.end; ++kw) to[kw] = from[kw];
      else
        for (int64_t kw = columns.begin; kw < columns.end; ++kw) to[kw * layout.column] = from[kw];
    }
}

// Windows that lie side by side, as those of a ViT's patches: a line of the picture is read from
// end to end and dealt out. Patch by patch, each would start anew on every line, a few bytes at a
// time.
bool lie_side_by_side(const UnfoldGeometry& g) {
  constexpr int64_t kWide = 8;  // so that what is written fills its cache lines
  return g.order == PatchOrder::channel_first && g.stride_width == g.kernel_width &&
         g.kernel_width >= kWide && g.padding_height == 0 && g.padding_width == 0;
}
void unfold_side_by_side(const UnfoldGeometry& g, const float* picture, int64_t top,
                         float* patches) {
  const int64_t count = g.out_width(), patch = g.columns(), width = g.kernel_width;
  for (int64_t c = 0; c < g.channels; ++c)
    for (int64_t kh = 0; kh < g.kernel_height; ++kh) {
      const float* from = picture + (c * g.height + top + kh) * g.width;
      float* to = patches + (c * g.kernel_height + kh) * width;
      for (int64_t i = 0; i < count; ++i, from += width, to += patch) {
        if (width == 16)  // a size that the compiler knows is four moves
          std::memcpy(to, from, 16 * sizeof(float));
        else
          std::memcpy(to, from, static_cast<size_t>(width) * sizeof(float));
      }
    }
}

struct Window {
  int64_t row, column;
  int64_t channels;  // to add
};

void add_patch(const UnfoldGeometry& g, const PatchLayout& layout, const float* patch,
               const Window& window, float* planes) {
  const int64_t top = window.row * g.stride_height - g.padding_height;
  const int64_t left = window.column * g.stride_width - g.padding_width;
  const Inside rows(top, g.kernel_height, g.height), columns(left, g.kernel_width, g.width);
  for (int64_t c = 0; c < window.channels; ++c)
    for (int64_t kh = rows.begin; kh < rows.end; ++kh) {
      float* to = planes + (c * g.height + top + kh) * g.width + left;
      const float* from = patch + c * layout.channel + kh * layout.row;
      if (layout.column == 1 && columns.end - columns.begin == 3) {
        // The kernel of most stems: three values need no loop.
        to[columns.begin] += from[columns.begin];
        to[columns.begin + 1] += from[columns.begin + 1];
        to[columns.begin + 2] += from[columns.begin + 2];
        continue;
      }
      for (int64_t kw = columns.begin; kw < columns.end; ++kw) to[kw] += from[kw * layout.column];
    }
}

}  // namespace

void unfold(Queue& queue, const UnfoldGeometry& geometry, const float* image, float* columns) {
  unfold_lines(queue, geometry, {0, geometry.batch * geometry.out_height()}, image, columns);
}

void unfold_lines(Queue& queue, const UnfoldGeometry& geometry, const PatchLines& lines,
                  const float* image, float* columns) {
  const UnfoldGeometry& g = geometry;
  const PatchLayout layout(g);
  const int64_t out_height = g.out_height(), out_width = g.out_width();
  queue.pool().parallel_ranges(
      lines.end - lines.begin, rows_per_chunk(out_width * g.columns()),
      [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const int64_t line = lines.begin + i;
          const float* picture = image + line / out_height * g.channels * g.height * g.width;
          const int64_t top = line % out_height * g.stride_height - g.padding_height;
          if (lie_side_by_side(g)) {
            unfold_side_by_side(g, picture, top, columns + i * out_width * g.columns());
            continue;
          }
          for (int64_t ow = 0; ow < out_width; ++ow)
            unfold_patch(g, layout, picture, top, ow * g.stride_width - g.padding_width,
                         columns + (i * out_width + ow) * g.columns());
        }
      });
}

void fold(Queue& queue, const UnfoldGeometry& geometry, const float* columns, float* image) {
  const UnfoldGeometry& g = geometry;
  const PatchLayout layout(g);
  const int64_t out_height = g.out_height(), out_width = g.out_width();
  // Several channels at a time: one channel of a patch is less than a cache line.
  constexpr int64_t kChannels = 16;
  const int64_t groups = (g.channels + kChannels - 1) / kChannels, plane = g.height * g.width;
  queue.pool().parallel_ranges(
      g.batch * groups, rows_per_chunk(kChannels * plane), [&](int64_t begin, int64_t end) {
        for (int64_t task = begin; task < end; ++task) {
          const int64_t picture = task / groups, first = task % groups * kChannels;
          const int64_t count = std::min(kChannels, g.channels - first);
          float* planes = image + (picture * g.channels + first) * plane;
          std::fill_n(planes, count * plane, 0.0f);
          const float* patch =
              columns + picture * out_height * out_width * g.columns() + first * layout.channel;
          for (int64_t oh = 0; oh < out_height; ++oh)
            for (int64_t ow = 0; ow < out_width; ++ow, patch += g.columns())
              add_patch(g, layout, patch, {oh, ow, count}, planes);
        }
      });
}

}  // namespace vitrail::kernels
