// WholeReader: a picture that its codec gives only as a whole. Decoded when its rows are wanted.
#pragma once

#include <algorithm>
#include <utility>

#include "image/codec/picture_reader.h"

namespace vitrail {

class WholeReader : public PictureReader {
 public:
  void begin(const PixelWindow& window) override {
    image_ = decode();
    next_ = window.y0;
  }
  void read(uint8_t* const* rows, int count) override {
    for (int i = 0; i < count; ++i) std::copy_n(image_.row(next_++), image_.row_bytes(), rows[i]);
  }
  Image read_all() override { return decode(); }

 protected:
  // Of the size that was set. Error: as decode_picture.
  virtual Image decode() = 0;

 private:
  Image image_;
  int next_ = 0;
};

}  // namespace vitrail
