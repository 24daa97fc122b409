#include "image/codec/picture_names.h"

#include <algorithm>
#include <array>

namespace vitrail {
namespace {

// .jfif, .jpe, .pjpeg and .pjp are JPEG: what Windows and browsers save it as. .hif is HEIF: what
// cameras do.
constexpr auto kRead = std::to_array<std::string_view>(
    {"jpg", "jpeg", "jpe", "jfif", "jif", "pjpeg", "pjp", "png", "apng", "webp", "gif", "bmp",
     "dib", "tif", "tiff", "avif", "heic", "heif", "hif"});

// What cameras, phones, scanners, drawing programs and torchvision's list have beside these.
constexpr auto kUnread = std::to_array<std::string_view>(
    {"jp2", "j2k", "jpx",  "jpf", "jxl",  "jxr", "ppm",  "pgm", "pbm", "pnm",  "pam", "tga",
     "ico", "cur", "icns", "svg", "psd",  "xcf", "exr",  "hdr", "pcx", "sgi",  "ras", "xbm",
     "xpm", "dds", "eps",  "dcm", "fits", "raw", "dng",  "nef", "cr2", "cr3",  "arw", "orf",
     "raf", "rw2", "pef",  "srw", "qoi",  "mpo", "wbmp", "emf", "wmf", "dicom"});

}  // namespace

std::string picture_suffix(std::string_view name) {
  name.remove_prefix(name.rfind('/') + 1);  // npos + 1 is 0
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return "";
  std::string suffix(name.substr(dot + 1));
  for (char& c : suffix)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return suffix;
}

bool is_picture_suffix(std::string_view suffix) {
  return std::ranges::find(kRead, suffix) != kRead.end();
}

bool is_unread_picture_suffix(std::string_view suffix) {
  return std::ranges::find(kUnread, suffix) != kUnread.end();
}

const std::string& picture_suffixes() {
  static const std::string all = [] {
    std::string text;
    for (const std::string_view suffix : kRead)
      text.append(text.empty() ? "" : ", ").append(suffix);
    return text;
  }();
  return all;
}

}  // namespace vitrail
