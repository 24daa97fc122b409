// What a file is that Vitrail does not read, so that its refusal can say so.
#include "image/codec/foreign_formats.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <string_view>

namespace vitrail {
namespace {

struct Signature {
  size_t offset;
  std::string_view bytes;
  const char* name;
};

using namespace std::string_view_literals;
constexpr Signature kSignatures[] = {
    {0, "\0\0\0\x0CjP  \r\n\x87\n"sv, "a JPEG 2000 picture"},
    {0, "\xFF\x4F\xFF\x51"sv, "a JPEG 2000 picture"},
    {0, "\0\0\0\x0CJXL \r\n\x87\n"sv, "a JPEG XL picture"},
    {0, "\xFF\x0A"sv, "a JPEG XL picture"},
    {0, "II\xBC\x01"sv, "a JPEG XR picture"},
    {0, "8BPS"sv, "a Photoshop (PSD) picture"},
    {0, "\0\0\1\0"sv, "an icon (ICO)"},
    {0, "\0\0\2\0"sv, "a cursor (CUR)"},
    {0, "icns"sv, "an icon (ICNS)"},
    {0, "DDS "sv, "a DDS picture"},
    {0, "qoif"sv, "a QOI picture"},
    {0, "\x76\x2F\x31\x01"sv, "an OpenEXR picture"},
    {0, "#?RADIANCE"sv, "a Radiance HDR picture"},
    {0, "#?RGBE"sv, "a Radiance HDR picture"},
    {0, "\x01\xDA"sv, "an SGI picture"},
    {0, "\x59\xA6\x6A\x95"sv, "a Sun raster picture"},
    {0, "\x0A\x05\x01"sv, "a PCX picture"},
    {0, "SIMPLE  ="sv, "a FITS picture"},
    {0, "BLP1"sv, "a BLP picture"},
    {0, "BLP2"sv, "a BLP picture"},
    {0, "\xD7\xCD\xC6\x9A"sv, "a Windows metafile"},
    {0, "gimp xcf"sv, "a GIMP (XCF) picture"},
    {0, "AT&TFORM"sv, "a DjVu document"},
    {0, "FLIF"sv, "a FLIF picture"},
    {0, "BPG\xFB"sv, "a BPG picture"},
    {0, "\x8AMNG\r\n\x1A\n"sv, "an MNG animation"},
    {0, "\x8BJNG\r\n\x1A\n"sv, "a JNG picture"},
    {0, "FORM"sv, "an IFF picture"},
    {0, "/* XPM"sv, "an XPM picture"},
    {0, "#define"sv, "an XBM picture"},
    {0, "P1"sv, "a portable bitmap (PBM)"},
    {0, "P2"sv, "a portable graymap (PGM)"},
    {0, "P3"sv, "a portable pixmap (PPM)"},
    {0, "P4"sv, "a portable bitmap (PBM)"},
    {0, "P5"sv, "a portable graymap (PGM)"},
    {0, "P6"sv, "a portable pixmap (PPM)"},
    {0, "P7\n"sv, "a portable picture (PAM)"},
    {0, "Pf\n"sv, "a portable float map (PFM)"},
    {0, "PF\n"sv, "a portable float map (PFM)"},
    {0, "%!PS"sv, "a PostScript document"},
    {0, "\xC5\xD0\xD3\xC6"sv, "a PostScript document"},
    {0, "%PDF"sv, "a PDF document"},
    {0, "<svg"sv, "an SVG drawing"},
    {0, "<?xml"sv, "an XML file (an SVG drawing?)"},
    {0, "<!DOCTYPE html"sv, "a web page"},
    {0, "<html"sv, "a web page"},
    {128, "DICM"sv, "a DICOM picture"},
    {0, "\x93NUMPY"sv, "a NumPy array"},
    {0, "\x89HDF\r\n\x1A\n"sv, "an HDF5 file"},
    {0, "PK\3\4"sv, "a zip archive"},
    {0, "\x1F\x8B"sv, "a gzip file"},
    {4, "ftyp"sv, "a video, or a picture of a kind of its own"},
    {0, "\x1A\x45\xDF\xA3"sv, "a video (Matroska or WebM)"},
    {8, "AVI "sv, "a video (AVI)"},
    {0, "fLaC"sv, "a sound"},
    {0, "OggS"sv, "a sound or a video (Ogg)"},
};

}  // namespace

const char* foreign_format(std::span<const std::byte> bytes) {
  const auto found = std::find_if(std::begin(kSignatures), std::end(kSignatures), [&](auto& known) {
    return bytes.size() >= known.offset + known.bytes.size() &&
           std::memcmp(bytes.data() + known.offset, known.bytes.data(), known.bytes.size()) == 0;
  });
  return found == std::end(kSignatures) ? nullptr : found->name;
}

}  // namespace vitrail
