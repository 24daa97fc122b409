// JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF and HEIF, recognised by their first bytes. Decoded pixels
// equal, byte for byte, those of Pillow 13's Image.open(file).convert('RGB') (or 'L'): palettes are
// looked up, alpha is dropped, CMYK is converted, 16 bits become 8. HEIF's are those of
// pillow-heif.
//
// Errors read "[picture] NAME: what". Nothing is printed, and sizes are checked before anything is
// allocated: a picture is input from a stranger.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "image/image.h"

namespace vitrail {

enum class PictureFormat : uint8_t { jpeg, png, webp, gif, bmp, dib, tiff, avif, heif };
enum class ExifPolicy : uint8_t { ignore, apply };  // the orientation that the camera noted
enum class ColorMode : uint8_t { rgb, grey };

// Width times height; where Pillow, too, refuses a "decompression bomb".
inline constexpr uint64_t kMaxPicturePixels = 178'956'970;
inline constexpr uint64_t kMaxPictureFileBytes = uint64_t{512} << 20;

struct DecodeOptions {
  ExifPolicy exif = ExifPolicy::ignore;
  ColorMode color = ColorMode::rgb;
  uint64_t max_pixels = kMaxPicturePixels;
  uint64_t max_file_bytes = kMaxPictureFileBytes;
};

// Which format the first bytes announce; none when it is another.
std::optional<PictureFormat> picture_format(std::span<const std::byte> bytes);
const char* name_of(PictureFormat format);

// `name` stands for the picture in messages. Error: an unknown format, a truncated or damaged
// file, a picture above the limits (of these options, and of picture_memory.h). An animation gives
// its first frame, a file of several pictures its first.
Image decode_picture(std::span<const std::byte> bytes, const DecodeOptions& options = {},
                     const std::string& name = "picture");
// The same from a file. Error also: missing, a directory, larger than max_file_bytes.
Image load_picture(const std::filesystem::path& path, const DecodeOptions& options = {});

// The name under which a program's standard input is a picture, once it has been kept.
inline constexpr const char* kStandardInputPicture = "-";
// Reads the process's standard input to its end and keeps it: load_picture("-") is that picture
// from now on. Reading again changes nothing. Error: a terminal, nothing, above
// kMaxPictureFileBytes.
void keep_standard_input_picture();

// EXIF's orientation, 1..8, from JPEG's APP1, PNG's eXIf or WebP's EXIF (then from XMP, as Pillow
// does); 1 when there is none or it cannot be read.
int picture_orientation(std::span<const std::byte> bytes);

// RGB or grey by image.channels; 4 channels are RGBA. Error: another number of channels.
std::vector<std::byte> encode_png(const Image& image);
void write_png(const std::filesystem::path& path, const Image& image);  // whole or not at all
// Baseline, 4:2:0. quality 1..100.
std::vector<std::byte> encode_jpeg(const Image& image, int quality = 90);

}  // namespace vitrail
