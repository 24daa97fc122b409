// Picture: what a call looks at, wherever its pixels come from.
#pragma once

#include <vitrail/export.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace vit {

enum class ChannelOrder : std::uint8_t { rgb, bgr, rgba, bgra, grey };

// A frame in the caller's memory: 8 bits a channel, channels interleaved, rows from the top.
struct Frame {
  const std::uint8_t* pixels = nullptr;  // of the first row
  int width = 0;                         // in pixels
  int height = 0;
  // Bytes from a row to the next; 0: rows without padding; negative: the rows lie upwards.
  std::int64_t row_stride = 0;
  ChannelOrder order = ChannelOrder::rgb;
};

// A picture by path, by the bytes of a file of any format that is read (JPEG, PNG, WebP, GIF, BMP,
// TIFF, AVIF, HEIF), or as a frame. Bytes and frames are referred to, not copied: they must live
// until the call that takes the picture returns. Nothing is opened before that call, and whatever
// is wrong with the picture is said by it.
// Copying one throws nothing. One that was moved from is no picture; a call that is given it says
// so.
class VITRAIL_API Picture {
 public:
  Picture(const char* path);                                   // NOLINT: implicit
  Picture(const std::string& path);                            // NOLINT: implicit
  Picture(const std::filesystem::path& path);                  // NOLINT: implicit
  Picture(std::span<const std::byte> encoded) noexcept;        // NOLINT: implicit
  Picture(std::span<const std::uint8_t> encoded) noexcept;     // NOLINT: implicit
  Picture(const std::vector<std::byte>& encoded) noexcept;     // NOLINT: implicit
  Picture(const std::vector<std::uint8_t>& encoded) noexcept;  // NOLINT: implicit
  Picture(const Frame& frame) noexcept;                        // NOLINT: implicit

  using Path = std::shared_ptr<const std::filesystem::path>;
  using Source = std::variant<Path, std::span<const std::byte>, Frame>;
  const Source& source() const noexcept { return source_; }

 private:
  Source source_;
};

}  // namespace vit
