// RowResizer: the part of a resized picture that a crop keeps, made row by row from source rows in
// order. The rows between the passes stay in a ring as high as the filter, so a picture of any
// size goes through a few rows of cache, and what the crop leaves out is never computed.
#pragma once

#include <cstdint>
#include <vector>

#include "core/parallel.h"
#include "image/pixel_rows.h"
#include "image/resize.h"

namespace vitrail {

struct RowResizeRequest {
  int channels = 3;  // 1 or 3
  Axis across{}, down{};
  Filter filter = Filter::bicubic;  // not nearest
  PixelWindow keep;                 // of the resized picture; not empty
};

// Whether Pillow 13 begins with the columns: when that spares it most of the rows. RowResizer
// cannot; resize() can.
bool vertical_pass_first(const Axis& across, const Axis& down);

class RowResizer {
 public:
  explicit RowResizer(const RowResizeRequest& request);

  // The pixels of the source that the kept part depends on.
  const PixelWindow& source() const { return source_; }

  // read(count) gives the next `count` <= kBlockRows rows of source(), from its first, as pointers
  // to column 0 of the source; only the columns of source() are read. write(y, pixels) takes row y
  // of the kept part, once for each y in order.
  void run(FunctionRef<const uint8_t* const*(int count)> read,
           FunctionRef<void(int y, const uint8_t* pixels)> write);

 private:
  uint8_t* ring_row(int y) {
    return ring_.data() + static_cast<size_t>(y % ring_rows_) * row_bytes_;
  }
  void take(const uint8_t* const* rows, int first, int count);
  void write_row(int y, FunctionRef<void(int, const uint8_t*)> write);

  RowResizeRequest request_;
  bool resizes_across_, resizes_down_;
  FixedWeights columns_, rows_;  // of the kept columns and rows; empty where nothing is resized
  PixelWindow source_;
  size_t row_bytes_;
  int ring_rows_ = 0;
  std::vector<uint8_t> ring_, scratch_, out_;
  std::vector<const uint8_t*> window_rows_;
};

// Rows of a picture in memory, for run().
class ImageRows {
 public:
  ImageRows(const Image& image, int first) : image_(image), next_(first) {}
  const uint8_t* const* operator()(int count) {
    for (int i = 0; i < count; ++i) rows_[i] = image_.row(next_++);
    return rows_;
  }

 private:
  const Image& image_;
  int next_;
  const uint8_t* rows_[kBlockRows];
};

}  // namespace vitrail
