// Outlines of scenes as signed distances: negative inside, in units of the object's radius.
#pragma once

#include <array>
#include <cstdint>

namespace vitrail::scenes {

// The first ten are the classes, in label order; the rest is clutter, chosen to look like none of
// them.
enum class ShapeKind : uint8_t {
  circle,
  square,
  triangle,
  star,
  ring,
  cross,
  heart,
  crescent,
  flower,
  arrow,
  bar,
  pebble,
  shard,
  zigzag,
};
inline constexpr int kNumClasses = 10;
inline constexpr int kNumClutterKinds = 4;
inline constexpr float kShapeReach = 1.25f;  // no outline leaves the circle of this radius

struct Point {
  float x = 0;
  float y = 0;
};

// An outline: `skew` in [0, 1] makes each shard another one; the other kinds ignore it.
struct Outline {
  ShapeKind kind = ShapeKind::circle;
  std::array<float, 4> skew{};
};

// Exact for most kinds near the outline, a lower bound elsewhere; y points down.
float signed_distance(const Outline& outline, Point point);

}  // namespace vitrail::scenes
