// libtiff, loaded when a TIFF comes, and a file in memory opened with it.
#pragma once

#include "image/codec/codec_formats.h"

#ifdef VITRAIL_TIFF
#include <tiffio.h>

#include <array>

namespace vitrail {

struct TiffLibrary {
  decltype(TIFFOpenOptionsAlloc)* options_alloc;
  decltype(TIFFOpenOptionsFree)* options_free;
  decltype(TIFFOpenOptionsSetErrorHandlerExtR)* options_set_error_handler;
  decltype(TIFFOpenOptionsSetWarningHandlerExtR)* options_set_warning_handler;
  decltype(TIFFOpenOptionsSetMaxSingleMemAlloc)* options_set_max_memory;
  decltype(TIFFClientOpenExt)* open;
  decltype(TIFFClose)* close;
  decltype(TIFFGetField)* get_field;
  decltype(TIFFGetFieldDefaulted)* get_field_defaulted;
  decltype(TIFFSetField)* set_field;
  decltype(TIFFIsTiled)* is_tiled;
  decltype(TIFFIsByteSwapped)* is_swapped;
  decltype(TIFFIsCODECConfigured)* has_codec;
  decltype(TIFFNumberOfStrips)* strips;
  decltype(TIFFNumberOfTiles)* tiles;
  decltype(TIFFScanlineSize)* scanline_bytes;
  decltype(TIFFStripSize)* strip_bytes;
  decltype(TIFFTileSize)* tile_bytes;
  decltype(TIFFTileRowSize)* tile_row_bytes;
  decltype(TIFFComputeStrip)* strip_of;
  decltype(TIFFReadScanline)* read_scanline;
  decltype(TIFFReadEncodedStrip)* read_strip;
  decltype(TIFFReadTile)* read_tile;
  decltype(TIFFGetStrileOffset)* part_offset;
  decltype(TIFFGetStrileByteCount)* part_bytes;
  decltype(TIFFRGBAImageOK)* rgba_ok;
  decltype(TIFFRGBAImageBegin)* rgba_begin;
  decltype(TIFFRGBAImageGet)* rgba_get;
  decltype(TIFFRGBAImageEnd)* rgba_end;

  // Error: not installed.
  static const TiffLibrary& get();

 private:
  TiffLibrary();
};

// A TIFF in memory. Errors of libtiff are kept, none is printed, and no setting of the process is
// touched: it may be a host program's too.
class TiffFile {
 public:
  // Error: not readable.
  explicit TiffFile(const PictureSource& source);
  ~TiffFile();
  TiffFile(const TiffFile&) = delete;
  TiffFile& operator=(const TiffFile&) = delete;

  const TiffLibrary& library() const { return library_; }
  TIFF* get() const { return tiff_; }
  // libtiff's first complaint.
  const char* message() const { return message_[0] == '\0' ? "damaged" : message_.data(); }

  // A field of one number; `otherwise` where it is missing and has no default.
  template <typename Number>
  Number field(uint32_t tag, Number otherwise) const {
    Number value = otherwise;
    return library_.get_field_defaulted(tiff_, tag, &value) == 1 ? value : otherwise;
  }

 private:
  static int keep_message(TIFF*, void* user, const char* module, const char* format, va_list);
  static int ignore_message(TIFF*, void*, const char*, const char*, va_list) { return 1; }
  static tmsize_t read(thandle_t handle, void* to, tmsize_t count);
  static tmsize_t write(thandle_t, void*, tmsize_t) { return 0; }
  static toff_t seek(thandle_t handle, toff_t offset, int whence);
  static int close(thandle_t) { return 0; }
  static toff_t size(thandle_t handle);
  static int map(thandle_t handle, void** base, toff_t* size);
  static void unmap(thandle_t, void*, toff_t) {}

  const TiffLibrary& library_;
  const std::span<const std::byte> bytes_;
  uint64_t at_ = 0;
  std::array<char, 200> message_{};
  TIFF* tiff_ = nullptr;
};

}  // namespace vitrail
#endif
