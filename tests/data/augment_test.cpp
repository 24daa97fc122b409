#include "data/augment.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "data/helpers.h"
#include "data/multi_crop.h"

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
  Image centre(4, 3, 1);  // cut out before it is resized
  for (int y = 0; y < 3; ++y)
    for (int x = 0; x < 4; ++x) centre.row(y)[x] = image.row(y)[5 + x];
  EXPECT_EQ(random_resized_crop(image, options, {}, 4, 3).pixels, centre.pixels);
  EXPECT_EQ(random_resized_crop(image, options, {}, 8, 7).pixels,
            resize(centre, 8, 7, Filter::bicubic).pixels);
}

// Everything on: what a picture becomes depends on its key, and each part of the key counts.
AugmentOptions everything() {
  AugmentOptions o;
  o.random_resized_crop = true;
  o.crop_filter = "random";
  o.flip_probability = o.vertical_flip_probability = 0.5;
  o.auto_augment = "rand-m9-mstd0.5-inc1";
  o.jitter_brightness = o.jitter_contrast = o.jitter_saturation = 0.4;
  o.jitter_hue = 0.1;
  o.grey_probability = o.blur_probability = o.solarize_probability = 0.3;
  o.erase_probability = 1;
  o.erase_mode = "pixel";
  o.erase_count = 2;
  return o;
}

TEST(Augment, TheWholeChainDependsOnTheKeyAlone) {
  const Image image = to_rgb(ramp(30, 26));
  Preprocess preprocess;
  const Augmenter augmenter(everything(), preprocess, {12, 14});
  const auto floats = [&](AugmentKey key) {
    std::vector<float> out(3 * 12 * 14);
    augmenter.write(image, key, out.data());
    return out;
  };
  const std::vector<AugmentKey> keys{{1, 2, 3, 0, 0}, {2, 2, 3, 0, 0}, {1, 3, 3, 0, 0},
                                     {1, 2, 4, 0, 0}, {1, 2, 3, 1, 0}, {1, 2, 3, 0, 1}};
  std::set<std::vector<float>> seen;
  for (const AugmentKey& key : keys) {
    EXPECT_EQ(floats(key), floats(key));
    seen.insert(floats(key));
  }
  EXPECT_EQ(seen.size(), keys.size());
}

// With a probability of one and no choice left, a step is its operation.
TEST(Augment, JitterDrawsFactorsWithinItsRange) {
  Image grey(1, 1, 1);
  grey.pixels = {100};
  AugmentOptions options;
  options.jitter_brightness = 0.3;
  std::set<int> values;
  for (int64_t index = 0; index < 300; ++index) {
    Image image = grey;
    jitter_colors(image, options, {0, 0, index});
    values.insert(image.pixels[0]);
  }
  EXPECT_GE(*values.begin(), 70);
  EXPECT_LE(*values.begin(), 73);
  EXPECT_LE(*values.rbegin(), 130);
  EXPECT_GE(*values.rbegin(), 127);
  options = {};
  options.solarize_probability = 1;
  options.solarize_threshold = 100;
  Image image = grey;
  jitter_colors(image, options, {});
  EXPECT_EQ(image.pixels[0], 155);
}

TEST(Augment, ErasesBoxesOfTheAreaAskedFor) {
  AugmentOptions options;
  options.erase_probability = 0.75;
  options.erase_min_area = options.erase_max_area = 0.2;
  int erased = 0;
  for (int64_t index = 0; index < 400; ++index) {
    std::vector<float> values(40 * 30, 1.0f);
    erase_boxes({values.data(), 1, 40, 30}, options, {0, 0, index});
    const auto zeros = std::count(values.begin(), values.end(), 0.0f);
    erased += zeros > 0;
    if (zeros > 0) {
      EXPECT_NEAR(static_cast<double>(zeros) / (40 * 30), 0.2, 0.03);
    }
  }
  EXPECT_NEAR(erased, 300, 35);
}

TEST(Augment, FieldsByName) {
  const AugmentOptions options = everything();
  AugmentOptions read;
  nlohmann::json json = to_json(options);
  json["epochs"] = 7;  // somebody else's
  from_json(json, read);
  EXPECT_EQ(read, options);
  EXPECT_TRUE(set_field(read, "erase_mode", "rand"));
  EXPECT_TRUE(set_field(read, "repeats", "3"));
  EXPECT_EQ(read.erase_mode, "rand");
  EXPECT_EQ(read.repeats, 3);
  EXPECT_FALSE(set_field(read, "epochs", "3"));
  expect_mentions(error_of([&] { set_field(read, "repeats", "x"); }), "repeats takes a number");
}

TEST(Augment, MultiCropFollowsDino) {
  const std::vector<ViewOptions> views = multi_crop({.global_size = {32, 32},
                                                     .local_size = {16, 16},
                                                     .local_crops = 3,
                                                     .global_min_scale = 0.4,
                                                     .local_min_scale = 0.05,
                                                     .local_max_scale = 0.4,
                                                     .jitter = 2,
                                                     .grey_probability = 0.9,
                                                     .blur_max_radius = 0.6});
  ASSERT_EQ(views.size(), 5u);
  EXPECT_EQ(views[1].size, (PictureSize{32, 32}));
  EXPECT_EQ(views[4].size, (PictureSize{16, 16}));
  EXPECT_EQ(views[0].augment.max_scale, 1);
  EXPECT_EQ(views[0].augment.blur_probability, 1);
  EXPECT_EQ(views[1].augment.solarize_probability, 0.2);
  EXPECT_EQ(views[4].augment.max_scale, 0.4);
  for (const auto& [size, augment] : views) {
    EXPECT_EQ(augment.blur_max_radius, 0.6);
    EXPECT_EQ(augment.jitter_contrast, 0.8);
    EXPECT_EQ(augment.jitter_hue, 0.2);
    EXPECT_EQ(augment.grey_probability, 0.9);
  }
  const AugmentOptions published = multi_crop({{32, 32}, {16, 16}}).back().augment;
  EXPECT_EQ(published.jitter_brightness, 0.4);
  EXPECT_EQ(published.jitter_contrast, 0.4);
  EXPECT_EQ(published.jitter_saturation, 0.2);
  EXPECT_EQ(published.jitter_hue, 0.1);
  EXPECT_EQ(published.grey_probability, 0.2);
  EXPECT_EQ(published.blur_max_radius, 2);
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
  const auto message = [](const char* name, const char* value) {
    AugmentOptions options;
    set_field(options, name, value);
    return error_of([&] { check_augment(options); });
  };
  expect_mentions(message("erase_mode", "grey"), "erase_mode is 'grey'");
  expect_mentions(message("auto_augment", "rand-q"), "has no number");
  expect_mentions(message("crop_filter", "cubic"), "'cubic'");
  expect_mentions(message("jitter_hue", "0.6"), "jitter_hue is 0.6");
  expect_mentions(message("repeats", "0"), "repeats is 0");
}

}  // namespace
}  // namespace vitrail
