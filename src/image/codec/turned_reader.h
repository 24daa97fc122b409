// What is made of a picture on its way from the codec: turned as its camera was, or grey.
#pragma once

#include <memory>

#include "image/codec/codec_formats.h"
#include "image/codec/picture_reader.h"

namespace vitrail {

// The picture turned by EXIF's orientation (2..8); it is in memory once, since each row that is
// decoded goes at once to where it belongs.
std::unique_ptr<PictureReader> turned(std::unique_ptr<PictureReader> reader, int orientation,
                                      const PictureSource& source);
// A picture in colours as one channel, row by row.
std::unique_ptr<PictureReader> in_grey(std::unique_ptr<PictureReader> reader);

}  // namespace vitrail
