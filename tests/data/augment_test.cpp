#include "data/augment.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "data/helpers.h"

namespace vitrail {
namespace {

using namespace test;

Image ramp(int width, int height) {
  Image image(width, height, 1);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) image.row(y)[x] = static_cast<uint8_t>(1 + 16 * y + x);
  }
  return image;
}

std::string text_of(const Bytes& bytes) {
  return {bytes.begin(), bytes.end()};
}

Image changed(const AugmentOptions& options, const AugmentKey& key, const Image& from) {
  Image image = from;
  shift_and_flip(image, options, key);
  return image;
}

TEST(Augment, DependsOnSeedEpochAndIndexAlone) {
  AugmentOptions options;
  options.crop_padding = 4;
  options.flip_probability = 0.5;
  const Image image = ramp(12, 12);
  const auto pixels = [&](AugmentKey key) { return changed(options, key, image).pixels; };
  EXPECT_EQ(pixels({1, 2, 3}), pixels({1, 2, 3}));
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 3; ++seed) {
    for (int64_t epoch = 0; epoch < 3; ++epoch) {
      for (int64_t index = 0; index < 3; ++index)
        seen.insert(text_of(pixels({seed, epoch, index})));
    }
  }
  EXPECT_GT(seen.size(), 20u);  // of 27 draws from 162 outcomes
}

TEST(Augment, OffMeansUnchanged) {
  const Image image = ramp(7, 5);
  EXPECT_EQ(changed({}, {1, 2, 3}, image).pixels, image.pixels);
}

TEST(Augment, FlipMirrorsRows) {
  AugmentOptions options;
  options.flip_probability = 1;
  Image image(3, 1, 3);
  image.pixels = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  EXPECT_EQ(changed(options, {}, image).pixels, (Bytes{7, 8, 9, 4, 5, 6, 1, 2, 3}));
  int flipped = 0;
  options.flip_probability = 0.5;
  for (int64_t i = 0; i < 400; ++i) flipped += changed(options, {0, 0, i}, image).pixels[0] == 7;
  EXPECT_NEAR(flipped, 200, 40);  // four standard deviations
}

// Every shift up to the pad occurs, and each is the padded picture's crop.
TEST(Augment, ShiftCropsThePaddedPicture) {
  for (const bool reflect : {false, true}) {
    AugmentOptions options;
    options.crop_padding = 2;
    options.reflect_padding = reflect;
    const Image image = ramp(5, 4);
    std::set<std::pair<int, int>> shifts;
    for (int64_t index = 0; index < 400; ++index) {
      const Image out = changed(options, {0, 0, index}, image);
      bool explained = false;
      for (int dy = -2; dy <= 2; ++dy) {
        for (int dx = -2; dx <= 2; ++dx) {
          bool equal = true;
          for (int y = 0; y < 4; ++y) {
            for (int x = 0; x < 5; ++x) {
              int sx = x + dx, sy = y + dy;
              uint8_t want = 0;
              if (reflect) {
                sx = sx < 0 ? -sx : sx > 4 ? 8 - sx : sx;
                sy = sy < 0 ? -sy : sy > 3 ? 6 - sy : sy;
              }
              if (sx >= 0 && sx < 5 && sy >= 0 && sy < 4) want = image.row(sy)[sx];
              equal = equal && out.row(y)[x] == want;
            }
          }
          if (equal) {
            explained = true;
            shifts.insert({dx, dy});
          }
        }
      }
      EXPECT_TRUE(explained) << index;
    }
    EXPECT_EQ(shifts.size(), 25u);
  }
}

TEST(Augment, ReflectionFarBeyondTheEdgeStaysInside) {
  AugmentOptions options;
  options.crop_padding = 50;
  options.reflect_padding = true;
  const Image image = ramp(3, 1);
  for (int64_t index = 0; index < 50; ++index) {
    for (const uint8_t value : changed(options, {0, 0, index}, image).pixels) {
      EXPECT_GE(value, 1);
      EXPECT_LE(value, 3);
    }
  }
}

TEST(Augment, RandomResizedCropHasTheSizeAndVaries) {
  AugmentOptions options;
  options.random_resized_crop = true;
  const Image image = ramp(16, 12);
  std::set<std::string> seen;
  for (int64_t index = 0; index < 20; ++index) {
    const Image out = random_resized_crop(image, options, {4, 5, index}, 9, 7);
    EXPECT_EQ(out.width, 9);
    EXPECT_EQ(out.height, 7);
    EXPECT_EQ(out.pixels, random_resized_crop(image, options, {4, 5, index}, 9, 7).pixels);
    seen.insert(text_of(out.pixels));
  }
  EXPECT_GT(seen.size(), 15u);
}

TEST(Augment, RandomResizedCropOfTheWholeIsAResize) {
  AugmentOptions options;
  options.min_scale = options.max_scale = 1;
  options.min_ratio = options.max_ratio = 16.0 / 12.0;
  const Image image = ramp(16, 12);
  EXPECT_EQ(random_resized_crop(image, options, {}, 8, 6).pixels,
            resize(image, 8, 6, Filter::bicubic).pixels);
}

TEST(Augment, RandomResizedCropOfAVeryLongPictureFallsBackToItsCentre) {
  AugmentOptions options;
  options.min_scale = options.max_scale = 1;  // no box of a ratio near one has the whole area
  const Image image = ramp(15, 3);
  EXPECT_EQ(random_resized_crop(image, options, {}, 4, 3).pixels,
            resize(image, 4, 3, Filter::bicubic, {5, 0, 9, 3}).pixels);
}

TEST(Augment, RefusesOptionsOutOfRange) {
  AugmentOptions scale, ratio, pad, flip;
  scale.min_scale = 0;
  ratio.min_ratio = 2;
  pad.crop_padding = -1;
  flip.flip_probability = 1.5;
  expect_mentions(error_of([&] { check_augment(scale); }), "scale 0");
  expect_mentions(error_of([&] { check_augment(ratio); }), "ratio 2");
  expect_mentions(error_of([&] { check_augment(pad); }), "crop_padding is -1");
  expect_mentions(error_of([&] { check_augment(flip); }), "flip_probability is 1.5");
}

}  // namespace
}  // namespace vitrail
