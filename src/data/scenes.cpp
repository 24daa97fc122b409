#include "data/scenes.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "data/scenes/layout.h"

namespace vitrail {
namespace {

using namespace scenes;

constexpr float kRim = 0.07f;                // width of an object's dark outline, in radii
constexpr float kShadowBlur = 0.3f;          // in radii
constexpr Point kShadowShift{0.08f, 0.12f};  // in radii

struct PixelRange {
  int begin, end;
};
// Pixels whose centres lie within `reach` of `centre`, in the unit square.
PixelRange pixel_range(float centre, float reach, int size) {
  const float scale = static_cast<float>(size);
  return {std::max(0, static_cast<int>(std::floor((centre - reach) * scale))),
          std::min(size, static_cast<int>(std::ceil((centre + reach) * scale)) + 1)};
}

class Canvas {
 public:
  Canvas(int size, const Background& background) : size_(size), pixel_(1.0f / size) {
    colors_.resize(static_cast<size_t>(size) * size);
    for (int y = 0; y < size; ++y) {
      for (int x = 0; x < size; ++x) at(x, y) = background_color(background, place(x, y), pixel_);
    }
  }

  // Draws an item over what is there; visit(x, y, alpha) hears of every pixel that it covers.
  template <typename Visit>
  void draw(const Item& item, Visit visit) {
    if (item.shadow > 0) draw_shadow(item);
    const float reach = item.radius * kShapeReach + pixel_;
    const PixelRange rows = pixel_range(item.centre.y, reach, size_);
    const PixelRange columns = pixel_range(item.centre.x, reach, size_);
    const float pixel = pixel_ / item.radius;
    for (int y = rows.begin; y < rows.end; ++y) {
      for (int x = columns.begin; x < columns.end; ++x) {
        const Point p = item.local(place(x, y));
        const float d = signed_distance(item.outline, p);
        const float alpha = coverage(d, pixel) * item.opacity;
        if (alpha <= 0) continue;
        at(x, y) = mix(at(x, y), shaded(item, p, d, pixel), alpha);
        visit(x, y, alpha);
      }
    }
  }

  Image to_image() const {
    Image image(size_, size_, 3);
    for (size_t i = 0; i < colors_.size(); ++i) {
      image.pixels[3 * i] = byte(colors_[i].r);
      image.pixels[3 * i + 1] = byte(colors_[i].g);
      image.pixels[3 * i + 2] = byte(colors_[i].b);
    }
    return image;
  }

 private:
  static uint8_t byte(float value) {
    return static_cast<uint8_t>(std::clamp(value, 0.0f, 1.0f) * 255.0f + 0.5f);
  }
  Color& at(int x, int y) { return colors_[static_cast<size_t>(y) * size_ + x]; }
  Point place(int x, int y) const {
    return {(static_cast<float>(x) + 0.5f) * pixel_, (static_cast<float>(y) + 0.5f) * pixel_};
  }

  // Light falls from above, and objects have a darker rim.
  static Color shaded(const Item& item, Point p, float d, float pixel) {
    const Color color = texture_color(item.texture, p, pixel);
    if (item.object < 0) return color;
    const float height = p.x * item.direction.y + p.y * item.direction.x;  // back in the picture
    const float light = 1.06f - 0.12f * height;
    const float rim = 1 - coverage(d + kRim, pixel);
    return scaled(color, light * (1 - 0.35f * rim));
  }

  void draw_shadow(const Item& item) {
    Item shifted = item;
    shifted.centre.x += kShadowShift.x * item.radius;
    shifted.centre.y += kShadowShift.y * item.radius;
    const float reach = item.radius * (kShapeReach + kShadowBlur);
    const PixelRange rows = pixel_range(shifted.centre.y, reach, size_);
    const PixelRange columns = pixel_range(shifted.centre.x, reach, size_);
    for (int y = rows.begin; y < rows.end; ++y) {
      for (int x = columns.begin; x < columns.end; ++x) {
        const float soft =
            coverage(signed_distance(item.outline, shifted.local(place(x, y))), kShadowBlur);
        if (soft > 0) at(x, y) = scaled(at(x, y), 1 - item.shadow * soft * soft);
      }
    }
  }

  int size_;
  float pixel_;
  std::vector<Color> colors_;
};

// How much of each object is in every pixel, and how much of it is in sight.
struct Coverage {
  std::vector<float> whole;
  std::vector<float> visible;
};

SceneObject describe(const ObjectFacts& facts, const Item& item, const Coverage& cover, int size) {
  SceneObject object;
  object.label = facts.label;
  object.color = palette(facts.color).name;
  object.texture = name_of(item.texture.kind);
  object.size_word = facts.size_word;
  object.mask.resize(cover.visible.size());
  int x0 = size, y0 = size, x1 = 0, y1 = 0;
  double whole = 0, visible = 0;
  for (int y = 0; y < size; ++y) {
    for (int x = 0; x < size; ++x) {
      const size_t i = static_cast<size_t>(y) * size + x;
      whole += cover.whole[i];
      visible += cover.visible[i];
      if (cover.visible[i] < 0.5f) continue;
      object.mask[i] = 255;
      x0 = std::min(x0, x);
      y0 = std::min(y0, y);
      x1 = std::max(x1, x + 1);
      y1 = std::max(y1, y + 1);
    }
  }
  object.visible_fraction = whole > 0 ? visible / whole : 0;
  if (x0 < x1)
    object.box = {static_cast<float>(x0), static_cast<float>(y0), static_cast<float>(x1),
                  static_cast<float>(y1)};
  return object;
}

}  // namespace

const std::vector<std::string>& scene_classes() {
  static const std::vector<std::string> names{"circle", "square", "triangle", "star",   "ring",
                                              "cross",  "heart",  "crescent", "flower", "arrow"};
  return names;
}

void check_scene_options(const SceneOptions& options) {
  check(options.size >= kSceneMinSize && options.size <= kSceneMaxSize, "scenes",
        "size {} is outside {} to {}", options.size, kSceneMinSize, kSceneMaxSize);
  check(options.max_objects >= 1 && options.max_objects <= kSceneMaxObjects, "scenes",
        "{} objects are outside 1 to {}", options.max_objects, kSceneMaxObjects);
  check(options.occlusion >= 0 && options.occlusion <= 1, "scenes",
        "occlusion {} is outside 0 to 1", options.occlusion);
}

Scene render_scene(const SceneOptions& options, int64_t index) {
  const Layout layout = make_layout(options, index);
  const int size = options.size;
  const size_t pixels = static_cast<size_t>(size) * size;
  Canvas canvas(size, layout.background);
  std::vector<Coverage> covers(layout.objects.size());
  for (Coverage& cover : covers) {
    cover.whole.resize(pixels);
    cover.visible.resize(pixels);
  }
  Scene scene;
  scene.objects.resize(layout.objects.size());
  for (const Item& item : layout.items) {
    canvas.draw(item, [&](int x, int y, float alpha) {
      const size_t i = static_cast<size_t>(y) * size + x;
      for (Coverage& below : covers) below.visible[i] *= 1 - alpha;
      if (item.object < 0) return;
      covers[item.object].whole[i] = alpha;
      covers[item.object].visible[i] = alpha;
    });
  }
  for (const Item& item : layout.items) {
    if (item.object >= 0)
      scene.objects[item.object] =
          describe(layout.objects[item.object], item, covers[item.object], size);
  }
  scene.image = canvas.to_image();
  scene.label = layout.objects.front().label;
  scene.caption = make_caption(layout);
  return scene;
}

Image render_scene_image(const SceneOptions& options, int64_t index) {
  const Layout layout = make_layout(options, index);
  Canvas canvas(options.size, layout.background);
  for (const Item& item : layout.items) canvas.draw(item, [](int, int, float) {});
  return canvas.to_image();
}

int64_t scene_label(const SceneOptions& options, int64_t index) {
  return layout_label(options.seed, index);
}

}  // namespace vitrail
