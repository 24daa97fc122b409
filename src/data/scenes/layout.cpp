#include "data/scenes/layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "core/rng.h"

namespace vitrail::scenes {
namespace {

constexpr Color kNight{0.06f, 0.07f, 0.11f};
constexpr Color kPaper{0.97f, 0.96f, 0.94f};
constexpr double kMinVisible = 0.72;  // of the main object, whatever covers it
constexpr double kMainBorder = 0.34;  // photographers keep the subject near the middle
constexpr int kWhite = 8;             // in the palette

Rng scene_rng(uint64_t seed, int64_t index) {
  return Rng(seed ^ hash_path("scenes"), static_cast<uint64_t>(index));
}

float draw(Rng& rng, double low, double high) {
  return static_cast<float>(rng.uniform(low, high));
}
int pick(Rng& rng, int count) {
  return static_cast<int>(rng.below(count));
}
uint32_t noise_seed(Rng& rng) {
  return rng.next_u32() & 0xFFFF;
}

// A unit vector by rejection and a square root: sin and cos may differ in the last bit.
Point any_direction(Rng& rng) {
  for (;;) {
    const double x = rng.uniform(-1, 1), y = rng.uniform(-1, 1);
    const double square = x * x + y * y;
    if (square > 1 || square < 0.01) continue;
    const double scale = 1 / std::sqrt(square);
    return {static_cast<float>(x * scale), static_cast<float>(y * scale)};
  }
}

// Leaning to either side by up to 20 degrees: things in pictures have an up.
Point leaning_direction(Rng& rng) {
  const double sine = rng.uniform(-0.35, 0.35);
  return {static_cast<float>(std::sqrt(1 - sine * sine)), static_cast<float>(sine)};
}

float luminance(Color c) {
  return 0.299f * c.r + 0.587f * c.g + 0.114f * c.b;
}
Color with_luminance(Color c, float target) {
  return scaled(c, target / luminance(c));
}

// Scenes are lit as stained glass is, from behind: what matters shines before a dark ground. It is
// pretty, and it is what lets a small ViT learn the shapes within minutes of a laptop's time.
void choose_background(Rng& rng, Layout& layout) {
  do {
    layout.background_color = pick(rng, kNumColors);
  } while (layout.background_color == kWhite);
  const Color base = palette(layout.background_color).color;
  Background& background = layout.background;
  background.kind = static_cast<BackgroundKind>(pick(rng, kNumBackgrounds));
  Texture& texture = background.texture;
  texture.first = with_luminance(mix(base, kNight, 0.25f), draw(rng, 0.09, 0.17));
  // Each draw is a statement: compilers differ in the order in which they evaluate arguments.
  const Color tint = palette(pick(rng, kNumColors)).color;
  const Color hint = mix(base, tint, draw(rng, 0.05, 0.3));
  texture.second = with_luminance(mix(hint, kNight, 0.2f), draw(rng, 0.14, 0.25));
  texture.direction = any_direction(rng);
  texture.seed = noise_seed(rng);
  background.centre = {draw(rng, 0.25, 0.75), draw(rng, 0.25, 0.75)};
  switch (background.kind) {
    case BackgroundKind::cloudy:
      texture.frequency = draw(rng, 2, 4);
      break;
    case BackgroundKind::stained_glass:
      texture.frequency = draw(rng, 4, 7);
      break;
    default:
      texture.frequency = draw(rng, 3.5, 8);
      break;
  }
}

// A colour that differs from the background's in more than brightness.
int choose_color(Rng& rng, int background_color) {
  int color;
  do {
    color = pick(rng, kNumColors);
  } while (color == background_color);
  return color;
}

Texture choose_texture(Rng& rng, int color) {
  Texture texture;
  texture.kind = static_cast<TextureKind>(pick(rng, kNumTextures));
  const Color base = palette(color).color;
  texture.first = with_luminance(base, std::max(luminance(base), 0.42f) * draw(rng, 0.95, 1.05));
  texture.second = luminance(texture.first) > 0.6f ? scaled(texture.first, 0.68f)
                                                   : mix(texture.first, kPaper, 0.55f);
  texture.direction = any_direction(rng);
  texture.seed = noise_seed(rng);
  texture.frequency =
      texture.kind == TextureKind::marbled ? draw(rng, 1.0, 1.6) : draw(rng, 1.7, 2.6);
  return texture;
}

struct SizeClass {
  const char* word;
  double low, high;  // radius, in sides of the picture
};
constexpr std::array<SizeClass, 3> kSizes{
    {{"small", 0.24, 0.30}, {"medium", 0.30, 0.36}, {"large", 0.36, 0.42}}};

const char* size_word(float radius) {
  for (const SizeClass& size : kSizes) {
    if (radius < size.high) return size.word;
  }
  return kSizes.back().word;
}

// Wholly in the picture, the centre at least `border` from its edges.
Point place_within(Rng& rng, float radius, double border) {
  const double margin = std::min(0.5, std::max(border, 1.08 * radius + 0.01));
  return {draw(rng, margin, 1 - margin), draw(rng, margin, 1 - margin)};
}

Item make_object(Rng& rng, Layout& layout, int64_t label, float radius) {
  const int color = choose_color(rng, layout.background_color);
  Item item;
  item.outline.kind = static_cast<ShapeKind>(label);
  item.texture = choose_texture(rng, color);
  item.radius = radius;
  item.direction = leaning_direction(rng);
  item.shadow = draw(rng, 0.25, 0.45);
  item.object = static_cast<int>(layout.objects.size());
  layout.objects.push_back({label, color, size_word(radius)});
  return item;
}

Item make_clutter(Rng& rng, const Background& background) {
  Item item;
  item.outline.kind = static_cast<ShapeKind>(kNumClasses + pick(rng, kNumClutterKinds));
  for (float& value : item.outline.skew) value = draw(rng, 0, 1);
  const Color color = palette(pick(rng, kNumColors)).color;
  item.texture.first = mix(color, background.texture.first, draw(rng, 0.45, 0.7));
  item.centre = {draw(rng, 0, 1), draw(rng, 0, 1)};
  item.radius = draw(rng, 0.03, 0.085);
  item.direction = any_direction(rng);
  item.opacity = draw(rng, 0.65, 0.95);
  return item;
}

// What part of an item remains in sight under another, from a grid of points: the answer is the
// same at every resolution.
double fraction_in_sight(const Item& item, const Item& cover) {
  constexpr int kGrid = 28;
  int inside = 0, seen = 0;
  for (int y = 0; y < kGrid; ++y) {
    for (int x = 0; x < kGrid; ++x) {
      const Point offset{((static_cast<float>(x) + 0.5f) / kGrid * 2 - 1) * kShapeReach,
                         ((static_cast<float>(y) + 0.5f) / kGrid * 2 - 1) * kShapeReach};
      const Point place{item.centre.x + offset.x * item.radius,
                        item.centre.y + offset.y * item.radius};
      if (signed_distance(item.outline, item.local(place)) > 0) continue;
      ++inside;
      if (signed_distance(cover.outline, cover.local(place)) > 0) ++seen;
    }
  }
  return inside == 0 ? 1 : static_cast<double>(seen) / inside;
}

// A bar, pebble or shard over the rim of the main object, made smaller until enough is in sight.
Item make_occluder(Rng& rng, const Background& background, const Item& target, int target_color) {
  Item item = make_clutter(rng, background);
  item.texture.first =
      mix(palette(choose_color(rng, target_color)).color, background.texture.first, 0.35f);
  const Point side = any_direction(rng);
  const float reach = target.radius * draw(rng, 0.35, 0.85);
  item.centre = {target.centre.x + side.x * reach, target.centre.y + side.y * reach};
  item.radius = target.radius * draw(rng, 0.5, 0.95);
  item.opacity = 1;
  item.shadow = 0.3f;
  while (fraction_in_sight(target, item) < kMinVisible) item.radius *= 0.85f;
  return item;
}

bool clear_of(const std::vector<Item>& items, const Item& item) {
  return std::all_of(items.begin(), items.end(), [&](const Item& other) {
    const float dx = other.centre.x - item.centre.x, dy = other.centre.y - item.centre.y;
    const float apart = 1.08f * (other.radius + item.radius);
    return dx * dx + dy * dy > apart * apart;
  });
}

// Objects beside the main one, smaller, where there is room.
std::vector<Item> make_companions(Rng& rng, Layout& layout, const Item& main, int wanted) {
  std::vector<Item> placed{main};
  for (int attempt = 0; attempt < 24 && static_cast<int>(placed.size()) <= wanted; ++attempt) {
    Item probe;
    probe.radius = draw(rng, 0.4, 0.8) * main.radius;
    probe.centre = place_within(rng, probe.radius, 0);
    if (!clear_of(placed, probe)) continue;
    Item item = make_object(rng, layout, pick(rng, kNumClasses), probe.radius);
    item.centre = probe.centre;
    placed.push_back(item);
  }
  placed.erase(placed.begin());
  return placed;
}

}  // namespace

int64_t layout_label(uint64_t seed, int64_t index) {
  return scene_rng(seed, index).below(kNumClasses);
}

Layout make_layout(const SceneOptions& options, int64_t index) {
  Rng rng = scene_rng(options.seed, index);
  Layout layout;
  const int64_t label = rng.below(kNumClasses);  // first, as layout_label draws it
  choose_background(rng, layout);
  const SizeClass& size = kSizes[static_cast<size_t>(pick(rng, 3))];
  float radius = draw(rng, size.low, size.high);
  if (options.max_objects > 1) radius *= 0.7f;  // leaves room for the others
  Item main = make_object(rng, layout, label, radius);
  main.centre = place_within(rng, main.radius, kMainBorder);

  const int clutter = 1 + pick(rng, 6);
  for (int i = 0; i < clutter; ++i) layout.items.push_back(make_clutter(rng, layout.background));
  if (options.max_objects > 1) {
    const int wanted = pick(rng, options.max_objects);
    for (const Item& item : make_companions(rng, layout, main, wanted))
      layout.items.push_back(item);
  }
  layout.items.push_back(main);
  if (rng.uniform() < options.occlusion) {
    layout.items.push_back(make_occluder(rng, layout.background, main, layout.objects[0].color));
    layout.occluded = fraction_in_sight(main, layout.items.back()) < 1;
  }
  return layout;
}

std::string make_caption(const Layout& layout) {
  const ObjectFacts& facts = layout.objects.front();
  const auto main = std::find_if(layout.items.begin(), layout.items.end(),
                                 [](const Item& item) { return item.object == 0; });
  const std::string texture = name_of(main->texture.kind);
  const std::string scenery = word_of(layout.background.kind);
  std::vector<std::string> words{"a", facts.size_word};
  if (main->texture.kind != TextureKind::plain) words.push_back(texture);
  words.insert(words.end(), {palette(facts.color).name, scene_classes()[facts.label], "on a dark",
                             palette(layout.background_color).name});
  if (!scenery.empty()) words.push_back(scenery);
  words.push_back("background");
  std::string caption = fmt::format("{}", fmt::join(words, " "));
  if (layout.occluded) caption += ", partly covered";
  return caption;
}

}  // namespace vitrail::scenes
