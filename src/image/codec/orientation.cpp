// Finds EXIF's orientation (TIFF 6.0 directory, tag 0x0112) and XMP's tiff:Orientation.
#include <cstring>
#include <string_view>
#include <vector>

#include "image/codec/codec.h"
#include "image/codec/orientation.h"

namespace vitrail {
namespace {

constexpr std::string_view kExifHeader("Exif\0\0", 6);
constexpr std::string_view kXmpHeader("http://ns.adobe.com/xap/1.0/\0", 29);
constexpr std::string_view kXmpKeyword("XML:com.adobe.xmp\0", 18);

struct Metadata {
  std::string exif;  // a TIFF file, its "Exif" headers removed
  std::string_view xmp;
};

uint32_t read_big(std::string_view bytes, size_t offset, int count) {
  uint32_t value = 0;
  for (int i = 0; i < count; ++i) value = value << 8 | static_cast<uint8_t>(bytes[offset + i]);
  return value;
}

uint32_t read_little(std::string_view bytes, size_t offset, int count) {
  uint32_t value = 0;
  for (int i = count - 1; i >= 0; --i) value = value << 8 | static_cast<uint8_t>(bytes[offset + i]);
  return value;
}

Metadata jpeg_metadata(std::string_view bytes) {
  Metadata found;
  size_t at = 2;
  while (at + 4 <= bytes.size()) {
    if (bytes[at] != '\xFF') {
      ++at;  // padding between segments
      continue;
    }
    const auto marker = static_cast<uint8_t>(bytes[at + 1]);
    if (marker == 0xFF) {
      ++at;
      continue;
    }
    if (marker == 0x00 || marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8)) {
      at += 2;  // without a length
      continue;
    }
    if (marker == 0xD9 || marker == 0xDA) break;
    const size_t length = read_big(bytes, at + 2, 2);
    if (length < 2 || length > bytes.size() - at - 2) break;
    const std::string_view segment = bytes.substr(at + 4, length - 2);
    if (marker == 0xE1 && segment.starts_with(kExifHeader))
      found.exif += segment.substr(kExifHeader.size());  // a long one is spread over several
    else if (marker == 0xE1 && segment.starts_with(kXmpHeader))
      found.xmp = segment.substr(kXmpHeader.size());
    at += 2 + length;
  }
  return found;
}

Metadata png_metadata(std::string_view bytes) {
  Metadata found;
  for (size_t at = 8; at + 12 <= bytes.size();) {
    const size_t length = read_big(bytes, at, 4);
    if (length > bytes.size() - at - 12) break;
    const std::string_view type = bytes.substr(at + 4, 4);
    const std::string_view body = bytes.substr(at + 8, length);
    if (type == "eXIf") found.exif = body;
    // Keyword, then a zero for "not compressed".
    if (type == "iTXt" && body.starts_with(kXmpKeyword) && body.size() > kXmpKeyword.size() &&
        body[kXmpKeyword.size()] == '\0')
      found.xmp = body.substr(kXmpKeyword.size());
    if (type == "IEND") break;
    at += 12 + length;
  }
  return found;
}

Metadata webp_metadata(std::string_view bytes) {
  constexpr uint32_t kExifFlag = 0x08, kXmpFlag = 0x04;
  Metadata found;
  uint32_t flags = 0;
  for (size_t at = 12; at + 8 <= bytes.size();) {
    const size_t length = read_little(bytes, at + 4, 4);
    if (length > bytes.size() - at - 8) break;
    const std::string_view type = bytes.substr(at, 4);
    const std::string_view body = bytes.substr(at + 8, length);
    if (type == "VP8X" && length >= 4) flags = static_cast<uint8_t>(body[0]);
    if (type == "EXIF" && (flags & kExifFlag) && found.exif.empty()) found.exif = body;
    if (type == "XMP " && (flags & kXmpFlag) && found.xmp.empty()) found.xmp = body;
    at += 8 + length + (length & 1);
  }
  return found;
}

// 0 when the directory has no readable orientation.
int exif_orientation(std::string_view tiff) {
  constexpr uint32_t kOrientationTag = 0x0112;
  constexpr size_t kEntryBytes = 12;
  while (tiff.starts_with(kExifHeader)) tiff.remove_prefix(kExifHeader.size());
  if (tiff.size() < 10) return 0;
  const bool big = tiff.starts_with(std::string_view("MM\0*", 4));
  if (!big && !tiff.starts_with(std::string_view("II*\0", 4))) return 0;
  const auto read = big ? read_big : read_little;
  const size_t directory = read(tiff, 4, 4);
  if (directory > tiff.size() - 2) return 0;
  const uint32_t entries = read(tiff, directory, 2);
  int orientation = 0;
  for (uint32_t i = 0; i < entries; ++i) {
    const size_t entry = directory + 2 + i * kEntryBytes;
    if (entry + kEntryBytes > tiff.size()) break;
    if (read(tiff, entry, 2) != kOrientationTag || read(tiff, entry + 4, 4) != 1) continue;
    const uint32_t type = read(tiff, entry + 2, 2);
    if (type == 3 || type == 8)  // SHORT, SSHORT
      orientation = static_cast<int>(read(tiff, entry + 8, 2));
    else if (type == 4 || type == 9)  // LONG, SLONG
      orientation = static_cast<int>(read(tiff, entry + 8, 4));
  }
  return orientation;
}

int xmp_orientation(std::string_view xmp) {
  constexpr std::string_view kProperty = "tiff:Orientation";
  for (size_t at = xmp.find(kProperty); at != std::string_view::npos;
       at = xmp.find(kProperty, at + 1)) {
    std::string_view rest = xmp.substr(at + kProperty.size());
    if (rest.starts_with("=\""))
      rest.remove_prefix(2);
    else if (rest.starts_with(">"))
      rest.remove_prefix(1);
    else
      continue;
    if (!rest.empty() && rest[0] >= '0' && rest[0] <= '9') return rest[0] - '0';
  }
  return 0;
}

}  // namespace

int orientation_of_xmp_without_exif(std::string_view exif, std::string_view xmp) {
  const int orientation = exif_orientation(exif) != 0 ? 1 : xmp_orientation(xmp);
  return orientation >= 1 && orientation <= 8 ? orientation : 1;
}

int picture_orientation(std::span<const std::byte> bytes) {
  const auto format = picture_format(bytes);
  if (format != PictureFormat::jpeg && format != PictureFormat::png &&
      format != PictureFormat::webp)
    return 1;
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const Metadata metadata = *format == PictureFormat::jpeg  ? jpeg_metadata(text)
                            : *format == PictureFormat::png ? png_metadata(text)
                                                            : webp_metadata(text);
  int orientation = exif_orientation(metadata.exif);
  if (orientation == 0) orientation = xmp_orientation(metadata.xmp);
  return orientation >= 1 && orientation <= 8 ? orientation : 1;
}

}  // namespace vitrail
