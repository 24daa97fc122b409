#include "image/resize.h"

#include <random>

#include "image/golden.h"
#include "image/scalar.h"
#include "support/isa.h"

namespace vitrail {
namespace {

void expect_equal_to_pillow(const char* goldens, PassOrder order) {
  size_t compared = 0;
  for (const auto& entry : golden_json(goldens)) {
    const auto from = entry.at("from").get<std::vector<int>>();
    const auto to = entry.at("to").get<std::vector<int>>();
    const Image image = drawn(from[0], from[1], from[2]);
    for (int code = 0; code < 6; ++code) {
      const auto filter = static_cast<Filter>(code);
      Image out;
      if (entry.contains("box")) {
        const auto box = entry.at("box").get<std::vector<double>>();
        out = resize(image, to[0], to[1], filter, {box[0], box[1], box[2], box[3]}, order);
      } else {
        out = resize(image, to[0], to[1], filter, order);
      }
      EXPECT_EQ(out.width, to[0]);
      EXPECT_EQ(out.height, to[1]);
      EXPECT_EQ(checksum(out), entry.at("crc").at(static_cast<size_t>(code)))
          << name_of(filter) << " " << entry.dump();
      ++compared;
    }
  }
  EXPECT_EQ(compared, 1200u);
}

TEST(Resize, EqualsPillow12) {
  testing::for_each_isa(
      [](Queue&) { expect_equal_to_pillow("resize_pillow12.json", PassOrder::horizontal_first); });
}

TEST(Resize, EqualsPillow13) {
  testing::for_each_isa(
      [](Queue&) { expect_equal_to_pillow("resize_pillow13.json", PassOrder::fewest_rows); });
}

// Sizes around those of a vector and of a block of rows, grown and shrunk, whole and in part.
TEST(Resize, EqualsTheScalarOracleOnEveryInstructionSet) {
  std::mt19937 random(7);
  const std::vector<int> sizes{1, 2, 3, 7, 15, 16, 17, 31, 33, 50, 64, 65, 131, 300};
  const auto any = [&] { return sizes[random() % sizes.size()]; };
  testing::for_each_isa([&](Queue&) {
    for (int i = 0; i < 150; ++i) {
      const Image image = drawn(any(), any(), i % 2 == 0 ? 3 : 1);
      SourceBox box{0, 0, static_cast<double>(image.width), static_cast<double>(image.height)};
      if (i % 3 == 0 && image.width > 2 && image.height > 2)
        box = {0.3, 1.25, image.width - 0.9, image.height - 0.5};
      const int width = any(), height = any();
      for (const Filter filter :
           {Filter::box, Filter::bilinear, Filter::hamming, Filter::bicubic, Filter::lanczos})
        ASSERT_EQ(resize(image, width, height, filter, box).pixels,
                  testing::scalar_resize(image, width, height, filter, box).pixels)
            << name_of(filter) << " " << image.width << "x" << image.height << "x" << image.channels
            << " to " << width << "x" << height;
    }
  });
}

// The largest sums: black beside white under the filter that overshoots most.
TEST(Resize, ClipsOvershoot) {
  Image image(64, 64, 3);
  for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = i / 3 / 5 % 2 != 0 ? 255 : 0;
  const SourceBox whole{0, 0, 64, 64};
  testing::for_each_isa([&](Queue&) {
    for (const int size : {200, 41})
      EXPECT_EQ(resize(image, size, size, Filter::lanczos).pixels,
                testing::scalar_resize(image, size, size, Filter::lanczos, whole).pixels);
  });
}

TEST(Resize, SameSizeIsACopy) {
  const Image image = drawn(20, 30, 3);
  EXPECT_EQ(resize(image, 20, 30, Filter::lanczos).pixels, image.pixels);
}

TEST(Resize, RefusesBadRequests) {
  const Image image = drawn(8, 8, 3);
  const auto message = [&](int width, int height, SourceBox box) {
    return error_if_any([&] { resize(image, width, height, Filter::box, box); });
  };
  const SourceBox whole{0, 0, 8, 8};
  expect_clear(message(0, 5, whole), "resize", "0x5");
  expect_clear(message(1000000, 1000000, whole), "resize", "above the limit");
  expect_clear(message(4, 4, {0, 0, 9, 8}), "resize", "not within");
  expect_clear(message(4, 4, {3, 0, 3, 8}), "resize", "not within");
  expect_clear(error_if_any([] { filter_of("cubic"); }), "resize", "unknown filter 'cubic'");
}

TEST(ResizeFloat, FollowsTheBytes) {
  // The same kernel without rounding in between: within a level of the 8-bit result.
  const Image image = drawn(40, 31, 1);
  const std::vector<float> values(image.pixels.begin(), image.pixels.end());
  for (const Filter filter : {Filter::bilinear, Filter::bicubic})
    for (const auto& [width, height] : std::vector<std::pair<int, int>>{{17, 13}, {60, 20}}) {
      const Image bytes = resize(image, width, height, filter);
      std::vector<float> floats(static_cast<size_t>(width) * height);
      resize_float({values.data(), 40, 31}, width, height, filter, floats.data());
      for (size_t i = 0; i < floats.size(); ++i)
        EXPECT_NEAR(std::clamp(floats[i], 0.0f, 255.0f), bytes.pixels[i], 1.6f);
    }
  float out = 0;
  expect_clear(error_if_any([&] {
                 resize_float({values.data(), 40, 31}, 1, 1, Filter::box, &out);
               }),
               "resize", "expected bilinear or bicubic");
}

}  // namespace
}  // namespace vitrail
