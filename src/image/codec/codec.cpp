#include "image/codec/codec.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <new>
#include <utility>

#include "core/error.h"
#include "image/codec/codec_formats.h"
#include "image/codec/foreign_formats.h"
#include "image/codec/picture_reader.h"
#include "image/codec/turned_reader.h"

namespace vitrail {
namespace {

bool starts_with(std::span<const std::byte> bytes, size_t offset, std::string_view magic) {
  return bytes.size() >= offset + magic.size() &&
         std::memcmp(bytes.data() + offset, magic.data(), magic.size()) == 0;
}

// Files of the ISO's container (ISO/IEC 14496-12) say by brands what they hold.
std::optional<PictureFormat> container_format(std::span<const std::byte> bytes) {
  constexpr size_t kMajor = 8, kCompatible = 16, kBrand = 4, kMaxBrands = 64;
  const auto has_major = [&](std::initializer_list<std::string_view> brands) {
    return std::any_of(brands.begin(), brands.end(),
                       [&](std::string_view brand) { return starts_with(bytes, kMajor, brand); });
  };
  if (has_major({"avif", "avis"})) return PictureFormat::avif;
  if (has_major({"heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs"}))
    return PictureFormat::heif;
  if (!has_major({"mif1", "msf1"})) return std::nullopt;
  // "A picture of any codec": the brands behind say which.
  const size_t box = static_cast<size_t>(bytes[2]) << 8 | static_cast<size_t>(bytes[3]);
  for (size_t at = kCompatible, i = 0; i < kMaxBrands && at + kBrand <= std::min(box, bytes.size());
       at += kBrand, ++i)
    if (starts_with(bytes, at, "avif") || starts_with(bytes, at, "avis"))
      return PictureFormat::avif;
  return PictureFormat::heif;
}

// The size of its header is all that begins a bitmap without a file header.
bool is_dib(std::span<const std::byte> bytes) {
  constexpr std::array<uint8_t, 7> kSizes{12, 40, 52, 56, 64, 108, 124};
  return bytes.size() > 4 && starts_with(bytes, 1, std::string_view("\0\0\0", 3)) &&
         std::find(kSizes.begin(), kSizes.end(), static_cast<uint8_t>(bytes[0])) != kSizes.end();
}

bool is_tiff(std::span<const std::byte> bytes) {
  for (const std::string_view magic : {std::string_view("II*\0", 4), std::string_view("MM\0*", 4),
                                       std::string_view("II+\0", 4), std::string_view("MM\0+", 4)})
    if (starts_with(bytes, 0, magic)) return true;
  return false;
}

std::unique_ptr<PictureReader> open_as_stored(PictureFormat format, const PictureSource& source) {
  switch (format) {
    case PictureFormat::jpeg:
      return open_jpeg(source);
    case PictureFormat::png:
      return open_png(source);
    case PictureFormat::webp:
      return open_webp(source);
    case PictureFormat::gif:
      return open_gif(source);
    case PictureFormat::bmp:
      return open_bmp(source, true);
    case PictureFormat::dib:
      return open_bmp(source, false);
    case PictureFormat::tiff:
      return open_tiff(source);
    case PictureFormat::avif:
      return open_avif(source);
    case PictureFormat::heif:
      return open_heif(source);
  }
  source.refuse("unknown format");
}

// The formats whose EXIF picture_orientation() finds; the others' readers know how to turn them.
bool has_metadata(PictureFormat format) {
  return format == PictureFormat::jpeg || format == PictureFormat::png ||
         format == PictureFormat::webp;
}

[[noreturn]] void refuse_unknown(const PictureSource& source) {
  const char* what = foreign_format(source.bytes);
  source.refuse_as(ErrorCode::unsupported,
                   "is {}; Vitrail reads JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF and HEIF",
                   what == nullptr ? "no picture of a known format" : what);
}

}  // namespace

std::optional<PictureFormat> picture_format(std::span<const std::byte> bytes) {
  if (starts_with(bytes, 0, "\xFF\xD8\xFF")) return PictureFormat::jpeg;
  if (starts_with(bytes, 0, "\x89PNG\r\n\x1a\n")) return PictureFormat::png;
  if (starts_with(bytes, 0, "RIFF") && starts_with(bytes, 8, "WEBP")) return PictureFormat::webp;
  if (starts_with(bytes, 0, "GIF87a") || starts_with(bytes, 0, "GIF89a")) return PictureFormat::gif;
  if (starts_with(bytes, 0, "BM")) return PictureFormat::bmp;
  if (is_tiff(bytes)) return PictureFormat::tiff;
  if (is_dib(bytes)) return PictureFormat::dib;
  if (starts_with(bytes, 4, "ftyp")) return container_format(bytes);
  return std::nullopt;
}

const char* name_of(PictureFormat format) {
  switch (format) {
    case PictureFormat::jpeg:
      return "JPEG";
    case PictureFormat::png:
      return "PNG";
    case PictureFormat::webp:
      return "WebP";
    case PictureFormat::gif:
      return "GIF";
    case PictureFormat::bmp:
    case PictureFormat::dib:
      return "BMP";
    case PictureFormat::tiff:
      return "TIFF";
    case PictureFormat::avif:
      return "AVIF";
    case PictureFormat::heif:
      return "HEIF";
  }
  return "unknown";
}

Image PictureReader::read_all() {
  begin({0, 0, width_, height_});
  Image image(width_, height_, channels_);
  constexpr int kRows = 16;
  uint8_t* rows[kRows];
  for (int y = 0; y < height_; y += kRows) {
    const int count = std::min(kRows, height_ - y);
    for (int i = 0; i < count; ++i) rows[i] = image.row(y + i);
    read(rows, count);
  }
  finish();
  return image;
}

std::unique_ptr<PictureReader> open_picture(std::span<const std::byte> bytes,
                                            const DecodeOptions& options, const std::string& name) {
  const PictureSource source{bytes, name, options.max_pixels, options.color == ColorMode::grey};
  if (bytes.empty()) source.refuse("the file is empty");
  if (bytes.size() > options.max_file_bytes)
    source.refuse_as(ErrorCode::too_large, "has {} bytes, above the limit of {}", bytes.size(),
                     options.max_file_bytes);
  const auto format = picture_format(bytes);
  if (!format) refuse_unknown(source);
  auto reader = open_as_stored(*format, source);
  int orientation = 1;
  if (options.exif == ExifPolicy::apply)
    orientation = has_metadata(*format) ? picture_orientation(bytes) : reader->orientation();
  if (options.color == ColorMode::grey && reader->channels() == 3)
    reader = in_grey(std::move(reader));
  return orientation == 1 ? std::move(reader) : turned(std::move(reader), orientation, source);
}

Image decode_picture(std::span<const std::byte> bytes, const DecodeOptions& options,
                     const std::string& name) {
  try {
    Image image = open_picture(bytes, options, name)->read_all();
    return options.color == ColorMode::grey ? image : to_rgb(std::move(image));
  } catch (const std::bad_alloc&) {
    fail(ErrorCode::out_of_memory, "picture", "{}: there is not enough memory to decode it", name);
  }
}

Image load_picture(const std::filesystem::path& path, const DecodeOptions& options) {
  return decode_picture(read_picture_file(path, options), options, path.string());
}

}  // namespace vitrail
