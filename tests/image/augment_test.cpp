// Every operation of augmentation against Pillow, timm and torchvision (golden/image/augment.json).
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <set>

#include "image/augment/color.h"
#include "image/augment/erase.h"
#include "image/augment/filter.h"
#include "image/augment/geometric.h"
#include "image/golden.h"
#include "image/resize.h"

namespace vitrail {
namespace {

using Values = std::vector<double>;

// As make_augment.py's noise().
Image noise(int width, int height, int channels) {
  Image image(width, height, channels);
  auto state = static_cast<uint32_t>(99 + width);
  size_t i = 0;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < channels; ++c) {
        state = state * 1664525u + 1013904223u;
        image.pixels[i++] = static_cast<uint8_t>(
            (x / 8 + y / 8) % 5 == 0 ? 200 + c : static_cast<int>(state >> 24));
      }
  return image;
}

Image picture_of(const nlohmann::json& from) {
  const auto make = from[0] == "noise" ? noise : drawn;
  return make(from[1], from[2], from[3]);
}

using Change = std::function<void(Image&, const Values&, const AffineStyle&)>;

template <typename Call>
Change in_place(Call call) {
  return [call](Image& image, const Values& v, const AffineStyle&) { call(image, v); };
}
template <typename Call>
Change anew(Call call) {
  return [call](Image& image, const Values& v, const AffineStyle& style) {
    image = call(image, v, style);
  };
}

const std::map<std::string, Change>& changes() {
  using I = Image&;
  using C = const Image&;
  using V = const Values&;
  using S = const AffineStyle&;
  static const std::map<std::string, Change> all{
      {"brightness", in_place([](I i, V v) { adjust_brightness(i, v[0]); })},
      {"contrast", in_place([](I i, V v) { adjust_contrast(i, v[0]); })},
      {"saturation", in_place([](I i, V v) { adjust_saturation(i, v[0]); })},
      {"hue", in_place([](I i, V v) { adjust_hue(i, v[0]); })},
      {"grey", in_place([](I i, V) { make_grey(i); })},
      {"auto_contrast", in_place([](I i, V) { auto_contrast(i); })},
      {"equalize", in_place([](I i, V) { equalize(i); })},
      {"invert", in_place([](I i, V) { invert(i); })},
      {"posterize", in_place([](I i, V v) { posterize(i, static_cast<int>(v[0])); })},
      {"solarize", in_place([](I i, V v) { solarize(i, v[0]); })},
      {"solarize_add", in_place([](I i, V v) { solarize_add(i, static_cast<int>(v[0])); })},
      {"sharpness", in_place([](I i, V v) { adjust_sharpness(i, v[0]); })},
      {"blur", in_place([](I i, V v) { gaussian_blur(i, v[0]); })},
      {"flip_horizontally", in_place([](I i, V) { flip_horizontally(i); })},
      {"flip_vertically", in_place([](I i, V) { flip_vertically(i); })},
      {"rotate", anew([](C i, V v, S s) { return rotated(i, v[0], s); })},
      {"shear_x", anew([](C i, V v, S s) { return sheared_x(i, v[0], s); })},
      {"shear_y", anew([](C i, V v, S s) { return sheared_y(i, v[0], s); })},
      {"translate_x", anew([](C i, V v, S s) { return translated(i, v[0] * i.width, 0, s); })},
      {"translate_y", anew([](C i, V v, S s) { return translated(i, 0, v[0] * i.height, s); })},
      {"nearest", anew([](C i, V v, S) {
         return transformed(i, {v[0], v[1], v[2], v[3], v[4], v[5]}, {Filter::nearest, {}});
       })},
      {"padding_crop", anew([](C i, V v, S) {
         return shifted(i, static_cast<int>(v[0]), static_cast<int>(v[1]), v[2] != 0);
       })},
      {"resized_crop", anew([](C i, V v, S s) {  // top, left, height, width
         const auto top = static_cast<int>(v[0]), left = static_cast<int>(v[1]);
         Image box(static_cast<int>(v[3]), static_cast<int>(v[2]), i.channels);
         for (int y = 0; y < box.height; ++y)
           std::copy_n(i.row(top + y) + left * i.channels, box.row_bytes(), box.row(y));
         return resize(box, 24, 28, s.filter);
       })},
  };
  return all;
}

TEST(AugmentOps, EqualTheirReferences) {
  const nlohmann::json cases = golden_json("augment.json");
  ASSERT_GT(cases.size(), 300u);
  std::set<std::string> met;
  for (const auto& golden : cases) {
    Image image = picture_of(golden["from"]);
    AffineStyle style;
    if (golden.contains("filter")) {
      style.filter = filter_of(golden["filter"]);
      if (style.filter != Filter::nearest) style.fill = {124, 116, 104};
    }
    changes().at(golden["op"])(image, golden["values"].get<Values>(), style);
    EXPECT_EQ(checksum(image), golden["crc"].get<uint32_t>()) << golden.dump();
    met.insert(golden["op"]);
  }
  EXPECT_EQ(met.size(), changes().size());
}

TEST(AugmentOps, AffineMapsRefuseOtherFilters) {
  expect_clear(error_if_any([] {
                 rotated(drawn(4, 4, 3), 10, {Filter::lanczos, {}});
               }),
               "augment", "lanczos");
}

TEST(Erase, FillsTheBoxAndNothingElse) {
  for (const char* name : {"const", "rand", "pixel"}) {
    std::vector<float> values(3 * 5 * 6, 9.0f);
    Rng rng(3, 1), same(3, 1);
    erase({values.data(), 3, 5, 6}, {1, 2, 4, 4}, erase_mode_of(name), rng);
    const std::string mode = name;
    for (int c = 0; c < 3; ++c) {
      const auto color = mode == "rand" ? static_cast<float>(same.normal()) : 0.0f;
      for (int y = 0; y < 5; ++y) {
        for (int x = 0; x < 6; ++x) {
          const float value = values[static_cast<size_t>((c * 5 + y) * 6 + x)];
          const bool inside = x >= 1 && x < 4 && y >= 2 && y < 4;
          if (!inside)
            EXPECT_EQ(value, 9.0f);
          else
            EXPECT_EQ(value, mode == "pixel" ? static_cast<float>(same.normal()) : color);
        }
      }
    }
  }
  expect_clear(error_if_any([] { erase_mode_of("grey"); }), "augment", "'grey'");
}

// timm: h = round(sqrt(area * ratio)), w = round(sqrt(area / ratio)), both below the picture's.
TEST(Erase, SidesFollowAreaAndRatio) {
  const auto sides = erase_sides(100, 4, 30, 30);
  ASSERT_TRUE(sides);
  EXPECT_EQ(sides->height, 20);
  EXPECT_EQ(sides->width, 5);
  EXPECT_FALSE(erase_sides(100, 4, 20, 30));
  EXPECT_FALSE(erase_sides(100, 4, 30, 5));
}

}  // namespace
}  // namespace vitrail
