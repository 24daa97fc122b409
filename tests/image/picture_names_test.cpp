// Which names are pictures.
#include <gtest/gtest.h>

#include "image/codec/picture_names.h"

namespace vitrail {
namespace {

TEST(PictureNames, TheLastDotOfTheLastPartCounts) {
  EXPECT_EQ(picture_suffix("a/b.c/D.tar.JPG"), "jpg");
  EXPECT_EQ(picture_suffix("a.png/none"), "");
  EXPECT_EQ(picture_suffix("a/.png"), "");
  EXPECT_EQ(picture_suffix("a."), "");
  EXPECT_EQ(picture_suffix(""), "");
}

TEST(PictureNames, EveryNameThatTheFormatsGoBy) {
  for (const char* name :
       {"a.jpg", "a.JPEG", "a.jpe", "a.jfif", "a.JFIF", "a.pjpeg", "a.pjp", "a.png", "d/a.b.WebP",
        "a.gif", "a.bmp", "a.dib", "a.tif", "a.TIFF", "a.avif", "a.heic", "a.heif", "a.HIF"})
    EXPECT_TRUE(is_picture_name(name)) << name;
  for (const char* name : {"a.txt", "jpg", ".jpg", "a.jpg.txt", "a.jpgx", "a"})
    EXPECT_FALSE(is_picture_name(name)) << name;
}

TEST(PictureNames, NoSuffixIsReadAndUnread) {
  for (const char* suffix : {"psd", "dng", "jxl", "svg"}) {
    EXPECT_TRUE(is_unread_picture_suffix(suffix)) << suffix;
    EXPECT_FALSE(is_picture_suffix(suffix)) << suffix;
  }
  for (const char* suffix : {"jpg", "webp", "txt", ""})
    EXPECT_FALSE(is_unread_picture_suffix(suffix)) << suffix;
  EXPECT_TRUE(picture_suffixes().starts_with("jpg, jpeg, "));
}

}  // namespace
}  // namespace vitrail
