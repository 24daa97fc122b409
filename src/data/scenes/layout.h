// What a scene shows, in the unit square and free of resolution: drawn from (seed, index).
#pragma once

#include <cstdint>
#include <vector>

#include "data/scenes.h"
#include "data/scenes/shapes.h"
#include "data/scenes/textures.h"

namespace vitrail::scenes {

struct Item {
  Outline outline;
  Texture texture;
  Point centre;
  float radius = 0.1f;
  Point direction{1, 0};  // where the item's own x axis points
  float opacity = 1;
  float shadow = 0;  // strength of the shadow that it throws
  int object = -1;   // index into Layout::objects; -1 for clutter

  // A point of the unit square in the item's own frame, in radii.
  Point local(Point p) const {
    const float x = (p.x - centre.x) / radius, y = (p.y - centre.y) / radius;
    return {x * direction.x + y * direction.y, y * direction.x - x * direction.y};
  }
};

struct ObjectFacts {
  int64_t label = 0;
  int color = 0;
  const char* size_word = "";
};

struct Layout {
  Background background;
  int background_color = 0;
  std::vector<Item> items;           // back to front
  std::vector<ObjectFacts> objects;  // the main one first
  bool occluded = false;
};

int64_t layout_label(uint64_t seed, int64_t index);
Layout make_layout(const SceneOptions& options, int64_t index);
std::string make_caption(const Layout& layout);

}  // namespace vitrail::scenes
