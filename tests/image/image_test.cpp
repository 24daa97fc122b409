#include "image/image.h"

#include "image/golden.h"

namespace vitrail {
namespace {

TEST(ImageView, ReordersChannels) {
  const std::vector<uint8_t> bytes{1, 2, 3, 9, 4, 5, 6, 9};
  EXPECT_EQ(to_rgb({bytes.data(), 2, 1, 0, ChannelOrder::rgba}).pixels,
            (std::vector<uint8_t>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(to_rgb({bytes.data(), 2, 1, 0, ChannelOrder::bgra}).pixels,
            (std::vector<uint8_t>{3, 2, 1, 6, 5, 4}));
  EXPECT_EQ(to_rgb({bytes.data(), 2, 1, 0, ChannelOrder::bgr}).pixels,
            (std::vector<uint8_t>{3, 2, 1, 5, 4, 9}));
  EXPECT_EQ(to_rgb({bytes.data(), 2, 1, 0, ChannelOrder::grey}).pixels,
            (std::vector<uint8_t>{1, 1, 1, 2, 2, 2}));
}

TEST(ImageView, FollowsTheStride) {
  const std::vector<uint8_t> bytes{1, 2, 3, 0, 4, 5, 6, 0};  // two rows of one pixel, padded
  EXPECT_EQ(to_rgb({bytes.data(), 1, 2, 4, ChannelOrder::rgb}).pixels,
            (std::vector<uint8_t>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(to_rgb({bytes.data() + 4, 1, 2, -4, ChannelOrder::rgb}).pixels,
            (std::vector<uint8_t>{4, 5, 6, 1, 2, 3}));
}

TEST(ImageView, RefusesBadFrames) {
  const uint8_t byte = 0;
  expect_clear(error_if_any([] { to_rgb(ImageView{}); }), "image", "no pixels");
  expect_clear(error_if_any([&] { to_rgb({&byte, 0, 1, 0, ChannelOrder::rgb}); }), "image", "0x1");
  expect_clear(error_if_any([&] {
                 to_rgb({&byte, 4, 1, 11, ChannelOrder::rgb});
               }),
               "image", "stride of 11");
}

TEST(Grey, RoundsAsPillow) {
  // Image.new("RGB", (1, 1), c).convert("L")
  const std::vector<uint8_t> bytes{255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255, 10, 20, 30};
  EXPECT_EQ(to_grey({bytes.data(), 5, 1, 0, ChannelOrder::rgb}).pixels,
            (std::vector<uint8_t>{76, 150, 29, 255, 18}));
  const std::vector<uint8_t> swapped{30, 20, 10, 7};
  EXPECT_EQ(to_grey({swapped.data(), 1, 1, 0, ChannelOrder::bgra}).pixels,
            (std::vector<uint8_t>{18}));
}

TEST(Orientation, UndoesItself) {
  const Image image = drawn(7, 4, 3);
  // 6 and 8 are each other's inverse; the others are their own.
  for (const auto& [first, second] : std::vector<std::pair<int, int>>{
           {1, 1}, {2, 2}, {3, 3}, {4, 4}, {5, 5}, {6, 8}, {7, 7}, {8, 6}}) {
    const Image once = transposed_by_orientation(image, first);
    EXPECT_EQ(once.width, first >= 5 ? 4 : 7);
    EXPECT_EQ(once.pixels == image.pixels, first == 1);
    EXPECT_EQ(transposed_by_orientation(once, second).pixels, image.pixels) << first;
  }
  EXPECT_EQ(transposed_by_orientation(image, 99).pixels, image.pixels);
}

}  // namespace
}  // namespace vitrail
