// Any bytes as a picture, from seeds that are BMP and DIB.
#include "picture_target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return vitrail::fuzz::picture(data, size);
}
