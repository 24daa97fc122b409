#pragma once

#include <cstdint>
#include <string_view>

namespace vitrail {

// What a coded picture of a HEIF says of itself, without decoding: the parameter sets of its
// configuration (hvcC, ISO/IEC 14496-15), and of its data, which a decoder obeys too.
struct HevcPicture {
  uint64_t pixels = 0;                     // of the largest set; with what a crop hides
  uint64_t bits = 8;                       // of a sample, at most
  int parameter_sets = 0;                  // none: not decodable
  int pictures = 0;                        // that the data holds: one, in a sound file
  bool has_420 = false, has_more = false;  // colours at half the width and height; at more
  bool only_420() const { return has_420 && !has_more; }
};
// `configuration`: the body of hvcC; `data`: units behind their lengths of four bytes.
HevcPicture hevc_picture(std::string_view configuration, std::string_view data);

}  // namespace vitrail
