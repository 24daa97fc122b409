// Scenes: pictures that Vitrail renders itself from (seed, index), with ground truth.
//
// A scene is one object of ten kinds on a background, among clutter that belongs to none of the
// ten. The description is independent of resolution: index 7 at 64 and at 512 pixels is the same
// scene. Only +, -, *, / and square roots of IEEE numbers enter a picture, no library function
// that could differ between machines, so a picture has the same bytes everywhere.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "image/image.h"

namespace vitrail {

inline constexpr int kSceneMinSize = 16;
inline constexpr int kSceneMaxSize = 4096;
inline constexpr int kSceneMaxObjects = 8;

// Class names in label order: circle, square, triangle, star, ring, cross, heart, crescent,
// flower, arrow.
const std::vector<std::string>& scene_classes();

struct SceneOptions {
  int size = 64;  // pixels a side
  uint64_t seed = 0;
  int max_objects = 1;      // of the ten kinds; the largest, objects[0], gives the label
  double occlusion = 0.25;  // probability that something covers a part of the main object
};

struct SceneObject {
  int64_t label = 0;
  // Of the visible part, in pixels: x0 <= x < x1, y0 <= y < y1.
  std::array<float, 4> box{};
  std::vector<uint8_t> mask;    // size × size: 255 where the object is seen, else 0
  double visible_fraction = 1;  // of the object's area, what nothing covers
  std::string color;
  std::string texture;
  std::string size_word;  // small, medium, large
};

struct Scene {
  Image image;  // size × size, RGB
  int64_t label = 0;
  std::vector<SceneObject> objects;  // objects[0] is the main one
  std::string caption;               // "a large striped red star on a blue background"
};

// Error: a size, number of objects or probability outside its range.
void check_scene_options(const SceneOptions& options);
// index >= 0. Thread-safe. The options have been checked.
Scene render_scene(const SceneOptions& options, int64_t index);
// The picture alone, which is faster; the same bytes.
Image render_scene_image(const SceneOptions& options, int64_t index);
int64_t scene_label(const SceneOptions& options, int64_t index);

}  // namespace vitrail
