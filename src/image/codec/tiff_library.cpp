#include "image/codec/tiff_library.h"

#ifdef VITRAIL_TIFF
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "core/lazy_library.h"
#include "core/printable.h"

namespace vitrail {

TiffLibrary::TiffLibrary() {
  const LazyLibrary library(VITRAIL_TIFF, "picture", "TIFF needs it (Debian: libtiff6)");
  library.find(options_alloc, "TIFFOpenOptionsAlloc");
  library.find(options_free, "TIFFOpenOptionsFree");
  library.find(options_set_error_handler, "TIFFOpenOptionsSetErrorHandlerExtR");
  library.find(options_set_warning_handler, "TIFFOpenOptionsSetWarningHandlerExtR");
  library.find(options_set_max_memory, "TIFFOpenOptionsSetMaxSingleMemAlloc");
  library.find(open, "TIFFClientOpenExt");
  library.find(close, "TIFFClose");
  library.find(get_field, "TIFFGetField");
  library.find(get_field_defaulted, "TIFFGetFieldDefaulted");
  library.find(set_field, "TIFFSetField");
  library.find(is_tiled, "TIFFIsTiled");
  library.find(is_swapped, "TIFFIsByteSwapped");
  library.find(has_codec, "TIFFIsCODECConfigured");
  library.find(strips, "TIFFNumberOfStrips");
  library.find(tiles, "TIFFNumberOfTiles");
  library.find(scanline_bytes, "TIFFScanlineSize");
  library.find(strip_bytes, "TIFFStripSize");
  library.find(tile_bytes, "TIFFTileSize");
  library.find(tile_row_bytes, "TIFFTileRowSize");
  library.find(strip_of, "TIFFComputeStrip");
  library.find(read_scanline, "TIFFReadScanline");
  library.find(read_strip, "TIFFReadEncodedStrip");
  library.find(read_tile, "TIFFReadTile");
  library.find(part_offset, "TIFFGetStrileOffset");
  library.find(part_bytes, "TIFFGetStrileByteCount");
  library.find(rgba_ok, "TIFFRGBAImageOK");
  library.find(rgba_begin, "TIFFRGBAImageBegin");
  library.find(rgba_get, "TIFFRGBAImageGet");
  library.find(rgba_end, "TIFFRGBAImageEnd");
}

const TiffLibrary& TiffLibrary::get() {
  static const TiffLibrary library;
  return library;
}

TiffFile::TiffFile(const PictureSource& source)
    : library_(TiffLibrary::get()), bytes_(source.bytes) {
  TIFFOpenOptions* options = library_.options_alloc();
  if (options == nullptr) throw std::bad_alloc();
  library_.options_set_error_handler(options, keep_message, this);
  library_.options_set_warning_handler(options, ignore_message, this);
  // Tables of a directory lie in the file, so nothing that is read of it is larger.
  library_.options_set_max_memory(
      options, static_cast<tmsize_t>(std::max<uint64_t>(bytes_.size() * 4, uint64_t{64} << 20)));
  // C: strips as they are stored.
  tiff_ = library_.open(source.name.c_str(), "rC", this, read, write, seek, close, size, map, unmap,
                        options);
  library_.options_free(options);
  if (tiff_ == nullptr) source.refuse("not a readable TIFF: {}", printable(message()));
}

TiffFile::~TiffFile() {
  library_.close(tiff_);
}

int TiffFile::keep_message(TIFF*, void* user, const char*, const char* format, va_list arguments) {
  auto* self = static_cast<TiffFile*>(user);
  if (self->message_[0] == '\0')
    std::vsnprintf(self->message_.data(), self->message_.size(), format, arguments);
  return 1;
}

tmsize_t TiffFile::read(thandle_t handle, void* to, tmsize_t count) {
  auto* self = static_cast<TiffFile*>(handle);
  if (count <= 0 || self->at_ >= self->bytes_.size()) return 0;
  const uint64_t part =
      std::min<uint64_t>(static_cast<uint64_t>(count), self->bytes_.size() - self->at_);
  std::memcpy(to, self->bytes_.data() + self->at_, part);
  self->at_ += part;
  return static_cast<tmsize_t>(part);
}

toff_t TiffFile::seek(thandle_t handle, toff_t offset, int whence) {
  auto* self = static_cast<TiffFile*>(handle);
  const uint64_t base = whence == SEEK_CUR   ? self->at_
                        : whence == SEEK_END ? self->bytes_.size()
                                             : 0;
  return self->at_ = base + offset;
}

toff_t TiffFile::size(thandle_t handle) {
  return static_cast<TiffFile*>(handle)->bytes_.size();
}

// libtiff never writes into what it reads.
int TiffFile::map(thandle_t handle, void** base, toff_t* size) {
  auto* self = static_cast<TiffFile*>(handle);
  *base = const_cast<std::byte*>(self->bytes_.data());
  *size = self->bytes_.size();
  return 1;
}

}  // namespace vitrail
#endif
