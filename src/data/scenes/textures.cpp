#include "data/scenes/textures.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace vitrail::scenes {
namespace {

constexpr std::array<NamedColor, kNumColors> kPalette{{
    {"red", {0.87f, 0.13f, 0.16f}},
    {"orange", {0.97f, 0.50f, 0.09f}},
    {"yellow", {0.99f, 0.84f, 0.18f}},
    {"green", {0.16f, 0.62f, 0.27f}},
    {"teal", {0.07f, 0.62f, 0.64f}},
    {"blue", {0.15f, 0.35f, 0.86f}},
    {"purple", {0.52f, 0.22f, 0.72f}},
    {"pink", {0.97f, 0.47f, 0.69f}},
    {"white", {0.97f, 0.96f, 0.93f}},
    {"brown", {0.47f, 0.28f, 0.14f}},
    {"grey", {0.55f, 0.56f, 0.58f}},
}};

uint32_t hash_cell(int x, int y, uint32_t seed) {
  uint32_t h = static_cast<uint32_t>(x) * 0x8DA6B343u ^ static_cast<uint32_t>(y) * 0xD8163841u ^
               seed * 0xCB1AB31Fu;
  h = (h ^ (h >> 15)) * 0x2C1B3C6Du;
  h = (h ^ (h >> 12)) * 0x297A2D39u;
  return h ^ (h >> 15);
}
// The upper 16 bits and the lower as two numbers in [0, 1].
float high_unit(uint32_t h) {
  return static_cast<float>(h >> 16) * (1.0f / 65535.0f);
}
float low_unit(uint32_t h) {
  return static_cast<float>(h & 0xFFFF) * (1.0f / 65535.0f);
}

float fraction(float x) {
  return x - std::floor(x);
}
float unit(float x) {
  return std::clamp(x, 0.0f, 1.0f);
}

// Distance to the edge of the nearer half-period of a square wave of period one.
float wave_distance(float x) {
  return std::abs(fraction(x) - 0.5f) - 0.25f;
}

Point turned(Point p, Point direction) {
  return {p.x * direction.x + p.y * direction.y, p.y * direction.x - p.x * direction.y};
}

float stripes(const Texture& t, Point p, float pixel) {
  return coverage(wave_distance(turned(p, t.direction).x * t.frequency), pixel * t.frequency);
}

float checks(const Texture& t, Point p, float pixel) {
  const Point q = turned(p, t.direction);
  const float a = coverage(wave_distance(q.x * t.frequency), pixel * t.frequency);
  const float b = coverage(wave_distance(q.y * t.frequency), pixel * t.frequency);
  return a * b + (1 - a) * (1 - b);
}

// A hexagonal-looking lattice: every other row of spots is shifted by half a step.
float spots(const Texture& t, Point p, float pixel) {
  Point q = turned(p, t.direction);
  q = {q.x * t.frequency, q.y * t.frequency};
  const float row = std::floor(q.y);
  const float shift = fraction(row * 0.5f);
  const float x = fraction(q.x + shift) - 0.5f, y = q.y - row - 0.5f;
  return coverage(std::sqrt(x * x + y * y) - 0.3f, pixel * t.frequency);
}

// Cells of coloured glass around jittered lattice points, parted by lead.
Color stained_glass(const Texture& t, Point p, float pixel) {
  const Point q{p.x * t.frequency, p.y * t.frequency};
  const int column = static_cast<int>(std::floor(q.x)), row = static_cast<int>(std::floor(q.y));
  float nearest = 1e9f, second = 1e9f;
  uint32_t owner = 0;
  for (int y = row - 1; y <= row + 1; ++y) {
    for (int x = column - 1; x <= column + 1; ++x) {
      const uint32_t h = hash_cell(x, y, t.seed);
      const float dx = static_cast<float>(x) + 0.1f + 0.8f * high_unit(h) - q.x;
      const float dy = static_cast<float>(y) + 0.1f + 0.8f * low_unit(h) - q.y;
      const float d = dx * dx + dy * dy;
      if (d < nearest) {
        second = nearest;
        nearest = d;
        owner = h;
      } else if (d < second) {
        second = d;
      }
    }
  }
  const float gap = std::sqrt(second) - std::sqrt(nearest);
  const float lead = coverage(gap - 0.07f, 2 * pixel * t.frequency);
  const float tint = low_unit(owner * 0x9E3779B1u);
  return mix(mix(t.first, t.second, tint), {0.10f, 0.10f, 0.12f}, 0.75f * lead);
}

}  // namespace

float color_distance(Color a, Color b) {
  const float r = a.r - b.r, g = a.g - b.g, bl = a.b - b.b;
  return std::sqrt(r * r + g * g + bl * bl);
}

const NamedColor& palette(int index) {
  return kPalette[static_cast<size_t>(index)];
}

float value_noise(Point p, uint32_t seed) {
  const float left = std::floor(p.x), top = std::floor(p.y);
  const int x = static_cast<int>(left), y = static_cast<int>(top);
  float u = p.x - left, v = p.y - top;
  u = u * u * (3 - 2 * u);
  v = v * v * (3 - 2 * v);
  const float a = high_unit(hash_cell(x, y, seed)), b = high_unit(hash_cell(x + 1, y, seed));
  const float c = high_unit(hash_cell(x, y + 1, seed)),
              d = high_unit(hash_cell(x + 1, y + 1, seed));
  const float upper = a + (b - a) * u, lower = c + (d - c) * u;
  return upper + (lower - upper) * v;
}

float cloud_noise(Point p, uint32_t seed) {
  float sum = 0, weight = 0.5f, scale = 1;
  for (uint32_t octave = 0; octave < 4; ++octave) {
    sum += weight * value_noise({p.x * scale, p.y * scale}, seed + octave);
    weight *= 0.5f;
    scale *= 2;
  }
  return unit((sum / 0.9375f - 0.2f) / 0.6f);
}

const char* name_of(TextureKind kind) {
  constexpr std::array<const char*, kNumTextures> names{"plain",   "striped", "checkered",
                                                        "spotted", "shaded",  "marbled"};
  return names[static_cast<size_t>(kind)];
}

Color texture_color(const Texture& t, Point p, float pixel) {
  switch (t.kind) {
    case TextureKind::plain:
      return t.first;
    case TextureKind::striped:
      return mix(t.first, t.second, stripes(t, p, pixel));
    case TextureKind::checkered:
      return mix(t.first, t.second, checks(t, p, pixel));
    case TextureKind::spotted:
      return mix(t.first, t.second, spots(t, p, pixel));
    case TextureKind::shaded:
      return mix(t.first, t.second, unit(0.5f + 0.6f * turned(p, t.direction).x));
    case TextureKind::marbled: {
      const float vein =
          std::abs(2 * cloud_noise({p.x * t.frequency, p.y * t.frequency}, t.seed) - 1);
      return mix(t.second, t.first, unit(vein * 2.2f));
    }
  }
  return t.first;
}

const char* word_of(BackgroundKind kind) {
  constexpr std::array<const char*, kNumBackgrounds> words{
      "", "glowing", "cloudy", "striped", "checkered", "spotted", "stained-glass"};
  return words[static_cast<size_t>(kind)];
}

Color background_color(const Background& background, Point p, float pixel) {
  const Texture& t = background.texture;
  const Point q{p.x - background.centre.x, p.y - background.centre.y};
  switch (background.kind) {
    case BackgroundKind::sloped:
      return mix(t.first, t.second, unit(0.5f + 0.7f * turned(q, t.direction).x));
    case BackgroundKind::glowing: {
      const float d2 = q.x * q.x + q.y * q.y;
      return mix(t.first, t.second, 1 / (1 + 5 * d2));
    }
    case BackgroundKind::cloudy:
      return mix(t.first, t.second, cloud_noise({p.x * t.frequency, p.y * t.frequency}, t.seed));
    case BackgroundKind::striped:
      return mix(t.first, t.second, 0.7f * stripes(t, q, pixel));
    case BackgroundKind::checkered:
      return mix(t.first, t.second, 0.6f * checks(t, q, pixel));
    case BackgroundKind::spotted:
      return mix(t.first, t.second, 0.8f * spots(t, q, pixel));
    case BackgroundKind::stained_glass:
      return stained_glass(t, p, pixel);
  }
  return t.first;
}

}  // namespace vitrail::scenes
