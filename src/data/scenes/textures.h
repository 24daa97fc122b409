// Colours, the textures of objects, and the backgrounds of scenes.
#pragma once

#include <cstdint>

#include "data/scenes/shapes.h"

namespace vitrail::scenes {

struct Color {
  float r = 0, g = 0, b = 0;  // 0 to 1, sRGB
};
inline Color mix(Color a, Color b, float t) {
  return {a.r + (b.r - a.r) * t, a.g + (b.g - a.g) * t, a.b + (b.b - a.b) * t};
}
inline Color scaled(Color c, float by) {
  return {c.r * by, c.g * by, c.b * by};
}
float color_distance(Color a, Color b);

struct NamedColor {
  const char* name;
  Color color;
};
inline constexpr int kNumColors = 11;
const NamedColor& palette(int index);

// Part of a pixel of width `pixel` that lies inside, for a signed distance in the same unit.
inline float coverage(float distance, float pixel) {
  const float part = 0.5f - distance / pixel;
  return part < 0 ? 0 : part > 1 ? 1 : part;
}

// Smooth random numbers in [0, 1] over the plane: value noise, and four octaves of it.
float value_noise(Point point, uint32_t seed);
float cloud_noise(Point point, uint32_t seed);

enum class TextureKind : uint8_t { plain, striped, checkered, spotted, shaded, marbled };
inline constexpr int kNumTextures = 6;
const char* name_of(TextureKind kind);

struct Texture {
  TextureKind kind = TextureKind::plain;
  Color first;
  Color second;
  float frequency = 3;  // repeats a unit
  Point direction{1, 0};
  uint32_t seed = 0;
};
// Colour at a point in the object's own frame; `pixel` is a pixel's width there.
Color texture_color(const Texture& texture, Point point, float pixel);

enum class BackgroundKind : uint8_t {
  sloped,
  glowing,
  cloudy,
  striped,
  checkered,
  spotted,
  stained_glass,
};
inline constexpr int kNumBackgrounds = 7;
const char* word_of(BackgroundKind kind);  // for the caption; empty for sloped

struct Background {
  BackgroundKind kind = BackgroundKind::sloped;
  Texture texture;  // colours, frequency, direction, seed
  Point centre{0.5f, 0.5f};
};
// Colour at a point of the unit square; `pixel` is a pixel's width there.
Color background_color(const Background& background, Point point, float pixel);

}  // namespace vitrail::scenes
