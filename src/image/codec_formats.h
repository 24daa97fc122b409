// The formats behind codec.h. Each decoder checks the size that the header declares against
// max_pixels before it allocates, and gives one channel for grey sources and three for the others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "core/error.h"
#include "image/image.h"
#include "image/picture_reader.h"

namespace vitrail {

// Copied by the readers; what it refers to outlives them.
struct PictureSource {
  std::span<const std::byte> bytes;
  const std::string& name;
  uint64_t max_pixels;

  const uint8_t* data() const { return reinterpret_cast<const uint8_t*>(bytes.data()); }

  template <typename... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) const {
    fail("picture", "{}: {}", name, fmt::format(format, std::forward<Args>(args)...));
  }
  void check_size(uint64_t width, uint64_t height) const {
    if (width == 0 || height == 0) refuse("declares {}x{} pixels", width, height);
    // Division, because the product may overflow.
    if (width > max_pixels / height)
      refuse("declares {}x{} pixels, above the limit of {}", width, height, max_pixels);
  }
};

std::unique_ptr<PictureReader> open_jpeg(const PictureSource& source);
std::unique_ptr<PictureReader> open_png(const PictureSource& source);
Image decode_webp(const PictureSource& source);

}  // namespace vitrail
