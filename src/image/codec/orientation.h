#pragma once

#include <string_view>

namespace vitrail {

// XMP's orientation where EXIF (a TIFF file; may be empty) says none; 1 where neither does.
int orientation_of_xmp_without_exif(std::string_view exif, std::string_view xmp);

}  // namespace vitrail
