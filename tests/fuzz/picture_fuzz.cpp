// Any bytes as a picture: an Error or pixels, never a crash, a leak or a hang.
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/error.h"
#include "image/codec.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vitrail;
  DecodeOptions options;
  options.max_pixels = 1 << 14;  // small pictures: more of them in a minute
  options.max_file_bytes = 1 << 16;
  options.exif = ExifPolicy::apply;
  options.color = size % 2 == 0 ? ColorMode::rgb : ColorMode::grey;
  try {
    const Image image = decode_picture(std::as_bytes(std::span(data, size)), options);
    if (image.pixels.size() != static_cast<size_t>(image.width) * image.height * image.channels)
      __builtin_trap();
  } catch (const Error&) {
    // What a stranger's bytes deserve.
  }
  return 0;
}
