// One coded picture of a HEIF (hvc1), through libheif. libheif is handed a file that holds this one
// item and nothing else, written here: what other boxes of a stranger's file say never reaches it.
#pragma once

#include "image/codec/heif_items.h"

#ifdef VITRAIL_HEIF
#include "image/codec/heif_library.h"

namespace vitrail {

// Whose rounding of colours: pillow-heif's of a picture, or libheif's where it lays one on another.
enum class HeifColors : uint8_t { of_picture, of_overlay };

class HeifCoded {
 public:
  // Error: not readable. `item` is coded.
  HeifCoded(const PictureSource& picture, const HeifItem& item);
  ~HeifCoded();
  HeifCoded(const HeifCoded&) = delete;
  HeifCoded& operator=(const HeifCoded&) = delete;

  // Turned and cropped as its properties say.
  int width() const { return library_.width(handle_); }
  int height() const { return library_.height(handle_); }
  // RGB, of this size. Transparency is not looked at, but what it decides: grey values of more than
  // 8 bits are clipped where there is none, and colours are `exact` (below) unless premultiplied.
  // Error: as decode_picture.
  Image decode(HeifColors kind);
  // The lightness alone, one channel: what a picture of transparency means.
  Image decode_luma();

 private:
  struct Native;
  Native decoded(heif_colorspace space, heif_chroma chroma);
  void step(const heif_error& error) const;
  bool is_full_601(const Native& native) const;
  Image colors(const Native& native) const;
  Image grey(const Native& native) const;
  Image interleaved(const Native& native) const;
  Image planar(const Native& native) const;

  const PictureSource& picture_;
  const HeifItem& item_;
  const HeifLibrary& library_;
  const std::string file_;
  heif_context* const context_;
  heif_image_handle* handle_ = nullptr;
  bool exact_ =
      false;  // 4:2:0 of 8 bits: colours of our own, since libheif's versions round unlike
};

}  // namespace vitrail
#endif
