#include "image/codec.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <utility>

#include "core/error.h"
#include "core/file.h"
#include "image/codec_formats.h"
#include "image/picture_reader.h"

namespace vitrail {
namespace {

bool starts_with(std::span<const std::byte> bytes, size_t offset, std::string_view magic) {
  return bytes.size() >= offset + magic.size() &&
         std::memcmp(bytes.data() + offset, magic.data(), magic.size()) == 0;
}

// A picture that had to be in memory as a whole.
class ImageReader : public PictureReader {
 public:
  explicit ImageReader(Image image) : image_(std::move(image)) {
    set_size(image_.width, image_.height, image_.channels);
  }
  void begin(const PixelWindow& window) override { next_ = window.y0; }
  void read(uint8_t* const* rows, int count) override {
    for (int i = 0; i < count; ++i) std::copy_n(image_.row(next_++), image_.row_bytes(), rows[i]);
  }
  Image read_all() override { return std::move(image_); }

 private:
  Image image_;
  int next_ = 0;
};

std::unique_ptr<PictureReader> open_as_stored(PictureFormat format, const PictureSource& source) {
  switch (format) {
    case PictureFormat::jpeg:
      return open_jpeg(source);
    case PictureFormat::png:
      return open_png(source);
    case PictureFormat::webp:
      return std::make_unique<ImageReader>(decode_webp(source));
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
  const PictureSource source{bytes, name, options.max_pixels};
  if (bytes.empty()) source.refuse("the file is empty");
  if (bytes.size() > options.max_file_bytes)
    source.refuse("has {} bytes, above the limit of {}", bytes.size(), options.max_file_bytes);
  const auto format = picture_format(bytes);
  if (!format) source.refuse("is not a JPEG, PNG or WebP picture");
  auto reader = open_as_stored(*format, source);
  const int orientation = options.exif == ExifPolicy::apply ? picture_orientation(bytes) : 1;
  const bool to_one = options.color == ColorMode::grey && reader->channels() == 3;
  if (orientation == 1 && !to_one) return reader;
  Image image = transposed_by_orientation(reader->read_all(), orientation);
  return std::make_unique<ImageReader>(to_one ? to_grey(std::move(image)) : std::move(image));
}

Image decode_picture(std::span<const std::byte> bytes, const DecodeOptions& options,
                     const std::string& name) {
  try {
    Image image = open_picture(bytes, options, name)->read_all();
    return options.color == ColorMode::grey ? image : to_rgb(std::move(image));
  } catch (const std::bad_alloc&) {
    fail("picture", "{}: there is not enough memory to decode it", name);
  }
}

std::vector<std::byte> read_picture_file(const std::filesystem::path& path,
                                         const DecodeOptions& options) {
  try {
    return read_file(path, options.max_file_bytes);
  } catch (const Error& error) {
    // The same place as every other trouble with a picture; the message already names the file.
    std::string message = error.what();
    message.erase(0, std::min(message.size(), error.place().size() + 3));
    throw Error("picture", message);
  }
}

Image load_picture(const std::filesystem::path& path, const DecodeOptions& options) {
  return decode_picture(read_picture_file(path, options), options, path.string());
}

}  // namespace vitrail
