#include "explain/overlay.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace vitrail {
namespace {

Image grey_photo(int width, int height) {
  Image photo(width, height, 3);
  std::fill(photo.pixels.begin(), photo.pixels.end(), uint8_t{100});
  return photo;
}

double lightness(const std::array<uint8_t, 3>& c) {
  return 0.3 * c[0] + 0.59 * c[1] + 0.11 * c[2];
}

TEST(HeatColour, GrowsLighterAllTheWay) {
  for (int i = 1; i <= 200; ++i)
    EXPECT_GE(lightness(heat_colour(i / 200.0)), lightness(heat_colour((i - 1) / 200.0)) - 0.6);
  EXPECT_EQ(heat_colour(-3), heat_colour(0));
  EXPECT_EQ(heat_colour(7), heat_colour(1));
}

TEST(HeatRange, LeavesAnOutlierAside) {
  std::vector<float> values(200, 1.0f);
  values[0] = 0;
  values[100] = 2;
  values[101] = 2;
  values[102] = 50;
  EXPECT_EQ(heat_range(values).low, 0);
  EXPECT_EQ(heat_range(values).high, 2);
  EXPECT_EQ(heat_range({1, 1, 1, 4}).high, 4);  // too few to leave one aside
}

TEST(Overlay, ColoursOnlyWhatTheModelSaw) {
  const Image photo = grey_photo(60, 40);
  const PatchMap map{.height = 2, .width = 2, .values = {0, 0, 0, 1}};
  const SourceBox seen{10, 0, 50, 40};
  const Image picture =
      draw_overlay(photo, seen, map, {.opacity = 1, .outline = false, .grid = false});
  const auto pixel = [&](int x, int y) {
    const uint8_t* p = picture.row(y) + x * 3;
    return std::array<uint8_t, 3>{p[0], p[1], p[2]};
  };
  EXPECT_EQ(pixel(9, 20), (std::array<uint8_t, 3>{100, 100, 100}));
  EXPECT_EQ(pixel(50, 20), (std::array<uint8_t, 3>{100, 100, 100}));
  EXPECT_EQ(pixel(10, 0), heat_colour(0));
  EXPECT_EQ(pixel(49, 39), (std::array<uint8_t, 3>{193, 190, 168}));  // 60% of the lightest
  EXPECT_GT(lightness(pixel(35, 25)), lightness(pixel(25, 15)));      // between patch centres
}

TEST(Overlay, ToleratesWhatLiesBeyondThePhoto) {
  const PatchMap map{.height = 3, .width = 3, .values = std::vector<float>(9, 0.5f)};
  const Image picture =
      draw_overlay(grey_photo(20, 10), {-5, -10, 25, 20}, map, {.outline = true, .grid = true});
  EXPECT_EQ(picture.width, 20);
  EXPECT_THROW(draw_overlay(grey_photo(8, 8), {0, 0, 8, 8}, {.height = 3, .width = 3}), Error);
  EXPECT_THROW(draw_overlay(grey_photo(8, 8), {3, 0, 3, 8}, map), Error);
}

TEST(Overlay, StandsPicturesInARow) {
  Image grey(10, 8, 1);
  const Image row = side_by_side({grey_photo(20, 8), grey});
  EXPECT_EQ(row.width, 42);
  EXPECT_EQ(row.row(0)[0], 100);
  EXPECT_EQ(row.row(0)[25 * 3], 255);
  EXPECT_EQ(row.row(7)[41 * 3], 0);
  EXPECT_THROW(side_by_side({grey_photo(4, 4), grey_photo(4, 5)}), Error);
  EXPECT_THROW(side_by_side({}), Error);
}

TEST(MaskCoverage, IsTheShareOfEachPatch) {
  Image mask(16, 8, 1);
  for (int y = 0; y < 8; ++y)
    for (int x = 6; x < 10; ++x) mask.row(y)[x] = 255;
  const TokenLayout layout{.grid_height = 1, .grid_width = 2};
  EXPECT_EQ(mask_coverage(mask, {4, 0, 12, 8}, layout).values, (std::vector<float>{0.5, 0.5}));
  EXPECT_EQ(mask_coverage(mask, {8, 0, 24, 8}, layout).values, (std::vector<float>{0.25, 0}));
}

TEST(Overlay, RefusesAMaskOfAnotherSize) {
  Explanation explanation{.layout = {.grid_height = 2, .grid_width = 2},
                          .photo = grey_photo(32, 16),
                          .geometry = {.box = {8, 0, 24, 16}},
                          .rollout = {0.1f, 0.2f, 0.3f, 0.4f}};
  EXPECT_EQ(explanation_overlay(explanation).width, 2 * 32 + 12);
  EXPECT_EQ(explanation_overlay(explanation, grey_photo(32, 16)).width, 3 * 32 + 2 * 12);
  EXPECT_THROW(explanation_overlay(explanation, grey_photo(16, 16)), Error);
}

}  // namespace
}  // namespace vitrail
