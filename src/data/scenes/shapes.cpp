#include "data/scenes/shapes.h"

#include <algorithm>
#include <cmath>

namespace vitrail::scenes {
namespace {

float length(float x, float y) {
  return std::sqrt(x * x + y * y);
}
float distance(Point a, Point b) {
  return length(a.x - b.x, a.y - b.y);
}

struct Edge {
  Point from;
  Point along;
  float inverse_length2 = 0;
};

float squared_distance(const Edge& edge, Point point) {
  const float x = point.x - edge.from.x, y = point.y - edge.from.y;
  const float t =
      std::clamp((x * edge.along.x + y * edge.along.y) * edge.inverse_length2, 0.0f, 1.0f);
  const float dx = x - t * edge.along.x, dy = y - t * edge.along.y;
  return dx * dx + dy * dy;
}

template <size_t N>
std::array<Edge, N> edges_of(const std::array<Point, N>& corners) {
  std::array<Edge, N> edges;
  for (size_t i = 0; i < N; ++i) {
    const Point a = corners[i], b = corners[(i + 1) % N];
    const Point along{b.x - a.x, b.y - a.y};
    edges[i] = {a, along, 1.0f / (along.x * along.x + along.y * along.y)};
  }
  return edges;
}

// The nearest edge gives the distance; crossings of a horizontal ray give the side.
template <size_t N>
float polygon(const std::array<Edge, N>& edges, Point point) {
  float nearest = 1e9f;
  bool inside = false;
  for (const Edge& edge : edges) {
    nearest = std::min(nearest, squared_distance(edge, point));
    const float above = edge.from.y - point.y, below = above + edge.along.y;
    if ((above > 0) != (below > 0)) {
      const float crossing = edge.from.x - above / edge.along.y * edge.along.x;
      if (crossing > point.x) inside = !inside;
    }
  }
  return inside ? -std::sqrt(nearest) : std::sqrt(nearest);
}

// Regular figures are written with these instead of calls of sin and cos, whose last bit differs
// between C libraries.
constexpr float kSin18 = 0.30901699f, kCos18 = 0.95105652f;
constexpr float kSin36 = 0.58778525f, kCos36 = 0.80901699f;
constexpr float kSin60 = 0.86602540f, kHalfRoot = 0.70710678f;

float triangle(Point p) {
  constexpr float r = 1.12f;
  static const auto edges =
      edges_of<3>({{{0, -r}, {kSin60 * r, 0.5f * r}, {-kSin60 * r, 0.5f * r}}});
  return polygon(edges, p);
}

float star(Point p) {
  constexpr float r = 1.1f, s = 0.46f;  // tips and notches
  static const auto edges = edges_of<10>({{{0, -r},
                                           {kSin36 * s, -kCos36 * s},
                                           {kCos18 * r, -kSin18 * r},
                                           {kCos18 * s, kSin18 * s},
                                           {kSin36 * r, kCos36 * r},
                                           {0, s},
                                           {-kSin36 * r, kCos36 * r},
                                           {-kCos18 * s, kSin18 * s},
                                           {-kCos18 * r, -kSin18 * r},
                                           {-kSin36 * s, -kCos36 * s}}});
  return polygon(edges, p);
}

float cross(Point p) {
  constexpr float a = 0.96f, w = 0.31f;  // arm's length and half its width
  static const auto edges = edges_of<12>({{{-w, -a},
                                           {w, -a},
                                           {w, -w},
                                           {a, -w},
                                           {a, w},
                                           {w, w},
                                           {w, a},
                                           {-w, a},
                                           {-w, w},
                                           {-a, w},
                                           {-a, -w},
                                           {-w, -w}}});
  return polygon(edges, p);
}

float arrow(Point p) {
  static const auto edges = edges_of<7>({{{0, -1.05f},
                                          {0.82f, -0.16f},
                                          {0.3f, -0.16f},
                                          {0.3f, 0.95f},
                                          {-0.3f, 0.95f},
                                          {-0.3f, -0.16f},
                                          {-0.82f, -0.16f}}});
  return polygon(edges, p);
}

float square(Point p) {
  constexpr float half = 0.8f;
  const float x = std::abs(p.x) - half, y = std::abs(p.y) - half;
  return length(std::max(x, 0.0f), std::max(y, 0.0f)) + std::min(std::max(x, y), 0.0f);
}

// A square on its corner with a disc on each upper side.
float heart(Point p) {
  constexpr float half = 0.56f, shift = 0.16f;
  const Point q{std::abs(p.x), p.y - shift};
  const float diamond = (q.x + std::abs(q.y)) * kHalfRoot - half;
  const float disc = distance(q, {half * kHalfRoot, -half * kHalfRoot}) - half;
  return std::min(diamond, disc);
}

float crescent(Point p) {
  const Point q{p.x - 0.22f, p.y};
  return std::max(length(q.x, q.y) - 1.0f, 0.82f - distance(q, {0.48f, 0}));
}

// Five round petals, mirrored: three are enough.
float flower(Point p) {
  constexpr float out = 0.62f, petal = 0.4f;
  const Point q{std::abs(p.x), p.y};
  const float petals = std::min({distance(q, {0, -out}), distance(q, {kCos18 * out, -kSin18 * out}),
                                 distance(q, {kSin36 * out, kCos36 * out})});
  return std::min(petals - petal, length(p.x, p.y) - 0.42f);
}

float pebble(Point p) {
  constexpr float a = 1.0f, b = 0.42f;
  const float k = length(p.x / a, p.y / b);
  const float gradient = length(p.x / (a * a), p.y / (b * b));
  return gradient < 1e-6f ? -b : k * (k - 1.0f) / gradient;
}

float segment(Point p, Point a, Point b) {
  const Point along{b.x - a.x, b.y - a.y};
  return std::sqrt(squared_distance({a, along, 1.0f / (along.x * along.x + along.y * along.y)}, p));
}

float zigzag(Point p) {
  const float d =
      std::min({segment(p, {-1, 0.3f}, {-0.35f, -0.3f}), segment(p, {-0.35f, -0.3f}, {0.35f, 0.3f}),
                segment(p, {0.35f, 0.3f}, {1, -0.3f})});
  return d - 0.13f;
}

// Four slanted half-planes: a thin splinter of glass.
float shard(Point p, const std::array<float, 4>& skew) {
  const float right = 0.92f * p.x + 0.39f * p.y - (0.25f + 0.4f * skew[0]);
  const float left = -0.98f * p.x + 0.2f * p.y - (0.25f + 0.4f * skew[1]);
  const float low = 0.24f * p.x + 0.97f * p.y - (0.16f + 0.2f * skew[2]);
  const float high = -0.31f * p.x - 0.95f * p.y - (0.16f + 0.2f * skew[3]);
  return std::max({right, left, low, high});
}

}  // namespace

float signed_distance(const Outline& outline, Point p) {
  switch (outline.kind) {
    case ShapeKind::circle:
      return length(p.x, p.y) - 0.9f;
    case ShapeKind::square:
      return square(p);
    case ShapeKind::triangle:
      return triangle(p);
    case ShapeKind::star:
      return star(p);
    case ShapeKind::ring:
      return std::abs(length(p.x, p.y) - 0.74f) - 0.22f;
    case ShapeKind::cross:
      return cross(p);
    case ShapeKind::heart:
      return heart(p);
    case ShapeKind::crescent:
      return crescent(p);
    case ShapeKind::flower:
      return flower(p);
    case ShapeKind::arrow:
      return arrow(p);
    case ShapeKind::bar:
      return segment(p, {-0.95f, 0}, {0.95f, 0}) - 0.15f;
    case ShapeKind::pebble:
      return pebble(p);
    case ShapeKind::shard:
      return shard(p, outline.skew);
    case ShapeKind::zigzag:
      return zigzag(p);
  }
  return 1e9f;
}

}  // namespace vitrail::scenes
