#include "image/codec.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "core/error.h"
#include "core/file.h"
#include "image/codec_formats.h"

namespace vitrail {
namespace {

bool starts_with(std::span<const std::byte> bytes, size_t offset, std::string_view magic) {
  return bytes.size() >= offset + magic.size() &&
         std::memcmp(bytes.data() + offset, magic.data(), magic.size()) == 0;
}

Image decode_as_stored(PictureFormat format, const PictureSource& source) {
  switch (format) {
    case PictureFormat::jpeg:
      return decode_jpeg(source);
    case PictureFormat::png:
      return decode_png(source);
    case PictureFormat::webp:
      return decode_webp(source);
  }
  source.refuse("unknown format");
}

}  // namespace

std::optional<PictureFormat> picture_format(std::span<const std::byte> bytes) {
  if (starts_with(bytes, 0, "\xFF\xD8\xFF")) return PictureFormat::jpeg;
  if (starts_with(bytes, 0, "\x89PNG\r\n\x1a\n")) return PictureFormat::png;
  if (starts_with(bytes, 0, "RIFF") && starts_with(bytes, 8, "WEBP")) return PictureFormat::webp;
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
  }
  return "unknown";
}

Image decode_picture(std::span<const std::byte> bytes, const DecodeOptions& options,
                     const std::string& name) {
  const PictureSource source{bytes, name, options.max_pixels};
  if (bytes.empty()) source.refuse("the file is empty");
  if (bytes.size() > options.max_file_bytes)
    source.refuse("has {} bytes, above the limit of {}", bytes.size(), options.max_file_bytes);
  const auto format = picture_format(bytes);
  if (!format) source.refuse("is not a JPEG, PNG or WebP picture");
  try {
    Image image = decode_as_stored(*format, source);
    if (options.exif == ExifPolicy::apply)
      image = transposed_by_orientation(std::move(image), picture_orientation(bytes));
    return options.color == ColorMode::grey ? to_grey(std::move(image)) : to_rgb(std::move(image));
  } catch (const std::bad_alloc&) {
    source.refuse("there is not enough memory to decode it");
  }
}

Image load_picture(const std::filesystem::path& path, const DecodeOptions& options) {
  std::vector<std::byte> bytes;
  try {
    bytes = read_file(path, options.max_file_bytes);
  } catch (const Error& error) {
    // The same place as every other trouble with a picture; the message already names the file.
    std::string message = error.what();
    message.erase(0, std::min(message.size(), error.place().size() + 3));
    throw Error("picture", message);
  }
  return decode_picture(bytes, options, path.string());
}

}  // namespace vitrail
