// The boxes of ISO/IEC 14496-12, of which a HEIF is made, and the numbers in them: never read
// beyond their ends.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "image/codec/codec_formats.h"

namespace vitrail {

// A box, by where it lies in the file.
struct HeifBox {
  std::string_view kind;  // four characters
  std::string_view body;  // behind the header
};

// Numbers of a box's body, the high byte first. Error: beyond its end.
class HeifNumbers {
 public:
  HeifNumbers(const PictureSource& picture, std::string_view bytes, std::string_view kind)
      : picture_(picture), bytes_(bytes), kind_(kind) {}
  uint64_t number(size_t bytes);
  int64_t signed_number(size_t bytes);
  std::string_view take(size_t bytes);
  size_t left() const { return bytes_.size(); }
  std::string_view rest() const { return bytes_; }

 private:
  const PictureSource& picture_;
  std::string_view bytes_;
  std::string_view kind_;
};

// Version and flags stand before the rest of many boxes.
struct HeifFullBox {
  HeifFullBox(const PictureSource& picture, std::string_view body, std::string_view kind)
      : numbers(picture, body, kind) {
    version = static_cast<int>(numbers.number(1));
    flags = static_cast<uint32_t>(numbers.number(3));
  }
  HeifNumbers numbers;
  int version = 0;
  uint32_t flags = 0;
};

// The boxes that fill `bytes`, the body of the box `outer`; "" is the file, where one that is cut
// ends them, since what counts may stand before it. Error: else, or too many.
std::vector<HeifBox> heif_boxes(const PictureSource& picture, std::string_view bytes,
                                std::string_view outer);
// The body of the one box of this kind; empty where there is none and none is needed. Error: two.
std::string_view only_box(const PictureSource& picture, const std::vector<HeifBox>& boxes,
                          std::string_view kind, bool needed);

}  // namespace vitrail
