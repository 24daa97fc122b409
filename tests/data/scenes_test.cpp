// Rendered scenes: the same bytes everywhere, and ground truth that agrees with the picture.
#include "data/scenes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "core/rng.h"
#include "data/helpers.h"
#include "data/scenes/shapes.h"
#include "data/scenes_dataset.h"

namespace vitrail {
namespace {

using namespace test;

std::string bytes_of(const Image& image) {
  return {image.pixels.begin(), image.pixels.end()};
}

TEST(Scenes, RenderTheSameBytesEverywhere) {
  SceneOptions options;
  uint64_t hash = 0;
  for (int64_t index = 0; index < 20; ++index)
    hash = hash * 31 + hash_path(bytes_of(render_scene_image(options, index)));
  EXPECT_EQ(hash, 5494711290033518458u)
      << "The scenes changed. Whoever trained on them trained on other pictures.";
}

TEST(Scenes, DependOnSeedAndIndexAlone) {
  SceneOptions options, other;
  other.seed = 1;
  EXPECT_EQ(bytes_of(render_scene_image(options, 5)), bytes_of(render_scene_image(options, 5)));
  EXPECT_NE(bytes_of(render_scene_image(options, 5)), bytes_of(render_scene_image(options, 6)));
  EXPECT_NE(bytes_of(render_scene_image(options, 5)), bytes_of(render_scene_image(other, 5)));
}

TEST(Scenes, AreTheSameSceneAtEveryResolution) {
  SceneOptions small;
  small.occlusion = 0;  // a sliver beyond a cover may be too thin for the small picture's box
  SceneOptions large = small;
  large.size = 4 * small.size;
  for (int64_t index = 0; index < 12; ++index) {
    const Scene a = render_scene(small, index), b = render_scene(large, index);
    EXPECT_EQ(a.caption, b.caption);
    EXPECT_EQ(a.label, b.label);
    for (size_t i = 0; i < 4; ++i)
      EXPECT_NEAR(a.objects[0].box[i], b.objects[0].box[i] / 4, 2) << index;
    EXPECT_NEAR(a.objects[0].visible_fraction, b.objects[0].visible_fraction, 0.03) << index;
    double difference = 0;  // of block means
    for (int y = 0; y < small.size; ++y) {
      for (int x = 0; x < 3 * small.size; ++x) {
        int sum = 0;
        for (int i = 0; i < 16; ++i)
          sum += b.image.row(4 * y + i / 4)[(4 * (x / 3) + i % 4) * 3 + x % 3];
        difference += std::abs(sum / 16.0 - a.image.row(y)[x]);
      }
    }
    EXPECT_LT(difference / (3 * small.size * small.size), 6.0) << index;
  }
}

TEST(Scenes, GroundTruthAgreesWithThePicture) {
  SceneOptions options;
  options.max_objects = 4;
  int several = 0, covered = 0;
  for (int64_t index = 0; index < 150; ++index) {
    SCOPED_TRACE(index);
    const Scene scene = render_scene(options, index);
    EXPECT_EQ(bytes_of(scene.image), bytes_of(render_scene_image(options, index)));
    ASSERT_FALSE(scene.objects.empty());
    ASSERT_LE(scene.objects.size(), 4u);
    several += scene.objects.size() > 1;
    covered += scene.objects[0].visible_fraction < 0.999;
    EXPECT_EQ(scene.label, scene.objects[0].label);
    EXPECT_EQ(scene.label, scene_label(options, index));
    EXPECT_GE(scene.objects[0].visible_fraction, 0.68);
    for (const SceneObject& object : scene.objects) {
      ASSERT_GE(object.label, 0);
      ASSERT_LT(object.label, static_cast<int64_t>(scene_classes().size()));
      const auto [x0, y0, x1, y1] = object.box;
      EXPECT_LT(x0, x1);
      EXPECT_LT(y0, y1);
      ASSERT_EQ(object.mask.size(), size_t{64 * 64});
      int inside = 0;
      float left = 64, top = 64, right = 0, bottom = 0;
      for (int y = 0; y < 64; ++y) {
        for (int x = 0; x < 64; ++x) {
          if (object.mask[y * 64 + x] == 0) continue;
          ++inside;
          left = std::min(left, static_cast<float>(x));
          top = std::min(top, static_cast<float>(y));
          right = std::max(right, static_cast<float>(x + 1));
          bottom = std::max(bottom, static_cast<float>(y + 1));
        }
      }
      EXPECT_GT(inside, 20);
      EXPECT_EQ((std::array<float, 4>{left, top, right, bottom}), object.box);
    }
    EXPECT_NE(scene.caption.find(scene_classes()[scene.label]), std::string::npos);
    EXPECT_NE(scene.caption.find(scene.objects[0].color), std::string::npos);
    EXPECT_NE(scene.caption.find(scene.objects[0].size_word), std::string::npos);
    if (scene.objects[0].visible_fraction < 0.95) expect_mentions(scene.caption, "partly covered");
  }
  EXPECT_GT(several, 60);
  EXPECT_GT(covered, 30);
}

TEST(Scenes, MaskIsWhereTheObjectIs) {
  // Without the object's own colour the mask could be anywhere: plain objects, uncovered, are
  // nearly of one colour inside it and of another just outside.
  SceneOptions options;
  options.occlusion = 0;
  int tried = 0;
  for (int64_t index = 0; index < 200; ++index) {
    const Scene scene = render_scene(options, index);
    const SceneObject& object = scene.objects[0];
    if (object.texture != "plain") continue;
    ++tried;
    EXPECT_NEAR(object.visible_fraction, 1, 1e-6);
    double inside[3] = {}, outside[3] = {};
    int count_in = 0, count_out = 0;
    for (int i = 0; i < 64 * 64; ++i) {
      const bool in = object.mask[i] != 0;
      (in ? count_in : count_out) += 1;
      for (int c = 0; c < 3; ++c) (in ? inside : outside)[c] += scene.image.pixels[3 * i + c];
    }
    double distance = 0;
    for (int c = 0; c < 3; ++c)
      distance += std::pow(inside[c] / count_in - outside[c] / count_out, 2);
    EXPECT_GT(std::sqrt(distance), 40) << index << " " << scene.caption;
  }
  EXPECT_GT(tried, 15);
}

TEST(Scenes, NoOutlineLeavesItsReach) {
  using namespace scenes;
  for (int kind = 0; kind < kNumClasses + kNumClutterKinds; ++kind) {
    for (const float skew : {0.0f, 0.5f, 1.0f}) {
      Outline outline{static_cast<ShapeKind>(kind), {skew, skew, skew, skew}};
      EXPECT_LT(signed_distance(outline, {0.12f, 0.7f}), 1.0f);
      for (int step = 0; step < 360; ++step) {
        const float angle = static_cast<float>(step) * 0.0174533f;
        EXPECT_GT(signed_distance(outline,
                                  {kShapeReach * std::cos(angle), kShapeReach * std::sin(angle)}),
                  0)
            << kind << " at " << step;
      }
    }
  }
}

TEST(SceneSet, SplitsShareNoScene) {
  const std::string spec = "scenes:count=6,val=4,test=5,size=32,seed=3";
  std::set<std::string> pictures;
  for (const Split split : {Split::train, Split::val, Split::test}) {
    const auto set = open_dataset(spec, split);
    for (int64_t i = 0; i < set->size(); ++i) pictures.insert(bytes_of(set->get(i).image));
  }
  EXPECT_EQ(pictures.size(), 15u);
  const auto all = open_dataset(spec, Split::all);
  ASSERT_EQ(all->size(), 15);
  EXPECT_EQ(all->id(6), "val/0");
  EXPECT_EQ(all->id(14), "test/4");
  EXPECT_EQ(bytes_of(all->get(6).image), bytes_of(open_dataset(spec, Split::val)->get(0).image));
  EXPECT_EQ(all->classes(), scene_classes());
}

TEST(SceneSet, CacheChangesNothing) {
  const auto cached = open_dataset("scenes:count=8,size=48", Split::train);
  const auto plain = open_dataset("scenes:count=8,size=48,cache=0", Split::train);
  for (int round = 0; round < 2; ++round) {
    for (int64_t i = 0; i < 8; ++i) {
      const Sample a = cached->get(i), b = plain->get(i);
      EXPECT_EQ(bytes_of(a.image), bytes_of(b.image));
      EXPECT_EQ(a.label, b.label);
      EXPECT_EQ(a.label, cached->label(i));
    }
  }
}

TEST(SceneSet, RefusesBadArguments) {
  const auto message = [](const std::string& spec) {
    return error_of([&] { open_dataset(spec, Split::train); });
  };
  expect_mentions(message("scenes:colour=3"), "known are count");
  expect_mentions(message("scenes:size=8"), "size 8");
  expect_mentions(message("scenes:size=64k"), "64k");
  expect_mentions(message("scenes:count"), "key=value");
  expect_mentions(message("scenes:count=-1"), "count=-1");
  expect_mentions(message("scenes:count=0"), "no pictures");
  expect_mentions(message("scenes:objects=99"), "99 objects");
  expect_mentions(message("scenes:occlusion=nan"), "occlusion");
  expect_mentions(message("scenes:seed=99999999999999999999999"), "seed");
}

}  // namespace
}  // namespace vitrail
