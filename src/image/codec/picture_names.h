// What a file's name says of it: whether a picture that we read, one that we do not read, or no
// picture at all. Names are only how a folder or an archive is sorted through; what a file really
// is, its first bytes say (picture_format in image/codec/codec.h).
#pragma once

#include <string>
#include <string_view>

namespace vitrail {

// "jpg" of "a/B.JPG": what stands behind the last dot of the last part, in small letters. Empty
// where there is no dot, or only the one that hides the file.
std::string picture_suffix(std::string_view name);

// Of a suffix in small letters without its dot.
bool is_picture_suffix(std::string_view suffix);         // a format that is read
bool is_unread_picture_suffix(std::string_view suffix);  // of a picture, in a format that is not
inline bool is_picture_name(std::string_view name) {
  return is_picture_suffix(picture_suffix(name));
}

// "jpg, jpeg, ..., webp", for messages.
const std::string& picture_suffixes();

}  // namespace vitrail
