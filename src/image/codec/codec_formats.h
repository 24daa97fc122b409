// The formats behind codec.h. Each decoder checks the size that the header declares against
// max_pixels before it allocates, and gives one channel for grey sources and three for the others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "core/error.h"
#include "image/codec/picture_memory.h"
#include "image/codec/picture_reader.h"
#include "image/image.h"

namespace vitrail {

// Copied by the readers; what it refers to outlives them.
struct PictureSource {
  std::span<const std::byte> bytes;
  const std::string& name;
  uint64_t max_pixels;
  bool grey = false;  // one channel is wanted; a reader may give three nevertheless

  const uint8_t* data() const { return reinterpret_cast<const uint8_t*>(bytes.data()); }

  template <typename... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) const {
    refuse_as(ErrorCode::bad_input, format, std::forward<Args>(args)...);
  }
  template <typename... Args>
  [[noreturn]] void refuse_as(ErrorCode code, fmt::format_string<Args...> format,
                              Args&&... args) const {
    fail(code, "picture", "{}: {}", name, fmt::format(format, std::forward<Args>(args)...));
  }
  void check_size(uint64_t width, uint64_t height) const {
    if (width == 0 || height == 0) refuse("declares {}x{} pixels", width, height);
    // Division, because the product may overflow.
    if (width > max_pixels / height)
      refuse_as(ErrorCode::too_large, "declares {}x{} pixels, above the limit of {}", width, height,
                max_pixels);
  }
  // For what decoding keeps of the whole picture; may wait for other pictures. Error: more than a
  // file of this size can plausibly hold, or than there is for all pictures.
  PictureMemory take_memory(uint64_t needed) const {
    constexpr uint64_t kMega = uint64_t{1} << 20;
    const uint64_t limit = picture_memory_limit(bytes.size());
    if (needed > limit)
      refuse_as(ErrorCode::too_large,
                "takes {} MB to decode, above the limit of {} MB for a file of {} bytes",
                needed / kMega, limit / kMega, bytes.size());
    if (needed > picture_memory_budget())
      refuse_as(ErrorCode::too_large,
                "takes {} MB to decode, and all pictures together may take {} MB on this machine",
                needed / kMega, picture_memory_budget() / kMega);
    return PictureMemory(needed);
  }
};

std::unique_ptr<PictureReader> open_jpeg(const PictureSource& source);
std::unique_ptr<PictureReader> open_png(const PictureSource& source);
std::unique_ptr<PictureReader> open_webp(const PictureSource& source);
std::unique_ptr<PictureReader> open_gif(const PictureSource& source);
// Without the file header of 14 bytes it is a DIB.
std::unique_ptr<PictureReader> open_bmp(const PictureSource& source, bool has_file_header);
// Turned already, if it says so: Pillow always turns a TIFF.
std::unique_ptr<PictureReader> open_tiff(const PictureSource& source);
std::unique_ptr<PictureReader> open_avif(const PictureSource& source);
// Turned already: the container's properties say how, and libheif obeys.
std::unique_ptr<PictureReader> open_heif(const PictureSource& source);

}  // namespace vitrail
