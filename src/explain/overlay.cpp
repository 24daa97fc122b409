#include "explain/overlay.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "image/resize.h"

namespace vitrail {
namespace {

constexpr std::array<std::array<double, 3>, 7> kHeatAnchors = {{{16, 12, 48},
                                                                {70, 22, 112},
                                                                {142, 36, 118},
                                                                {212, 68, 86},
                                                                {247, 132, 54},
                                                                {254, 202, 92},
                                                                {255, 250, 214}}};
constexpr double kHighQuantile = 0.99;
constexpr int kGap = 12;
constexpr int kOverlaySide = 1024;
constexpr int kMaskSamples = 8;  // a side of a patch: pixels may be larger or smaller than patches

struct PixelBox {
  int x0, y0, x1, y1;  // pixels whose centres lie inside, [x0, x1)
};

PixelBox pixels_of(const SourceBox& box, const Image& photo) {
  const auto edge = [](double value, int size) {
    return static_cast<int>(std::clamp(std::ceil(value - 0.5), 0.0, static_cast<double>(size)));
  };
  return {edge(box.x0, photo.width), edge(box.y0, photo.height), edge(box.x1, photo.width),
          edge(box.y1, photo.height)};
}

double value_between(const PatchMap& map, double row, double column) {
  const auto last_row = static_cast<double>(map.height - 1);
  const auto last_column = static_cast<double>(map.width - 1);
  row = std::clamp(row, 0.0, last_row);
  column = std::clamp(column, 0.0, last_column);
  const auto r0 = static_cast<int64_t>(row), c0 = static_cast<int64_t>(column);
  const int64_t r1 = std::min(r0 + 1, map.height - 1), c1 = std::min(c0 + 1, map.width - 1);
  const double fr = row - static_cast<double>(r0), fc = column - static_cast<double>(c0);
  const auto at = [&](int64_t r, int64_t c) {
    return static_cast<double>(map.values[static_cast<size_t>(r * map.width + c)]);
  };
  return (1 - fr) * ((1 - fc) * at(r0, c0) + fc * at(r0, c1)) +
         fr * ((1 - fc) * at(r1, c0) + fc * at(r1, c1));
}

void blend(uint8_t* pixel, const std::array<uint8_t, 3>& colour, double opacity) {
  for (int c = 0; c < 3; ++c)
    pixel[c] =
        static_cast<uint8_t>(std::lround(pixel[c] + opacity * (int{colour[c]} - int{pixel[c]})));
}

void blend_rectangle(Image& picture, const PixelBox& box, const std::array<uint8_t, 3>& colour,
                     double opacity) {
  for (int y = std::max(0, box.y0); y < std::min(picture.height, box.y1); ++y)
    for (int x = std::max(0, box.x0); x < std::min(picture.width, box.x1); ++x)
      blend(picture.row(y) + x * 3, colour, opacity);
}

void draw_grid(Image& picture, const PixelBox& inside, const SourceBox& box, const PatchMap& map) {
  const auto line = [](double from, double to, int64_t i, int64_t count) {
    return static_cast<int>(
        std::lround(from + (to - from) * static_cast<double>(i) / static_cast<double>(count)));
  };
  for (int64_t i = 1; i < map.width; ++i) {
    const int x = line(box.x0, box.x1, i, map.width);
    if (x >= inside.x1) break;  // padding
    blend_rectangle(picture, {x, inside.y0, x + 1, inside.y1}, {255, 255, 255}, 0.35);
  }
  for (int64_t i = 1; i < map.height; ++i) {
    const int y = line(box.y0, box.y1, i, map.height);
    if (y >= inside.y1) break;
    blend_rectangle(picture, {inside.x0, y, inside.x1, y + 1}, {255, 255, 255}, 0.35);
  }
}

}  // namespace

std::array<uint8_t, 3> heat_colour(double t) {
  const double place = std::clamp(t, 0.0, 1.0) * (kHeatAnchors.size() - 1);
  const auto below = std::min(static_cast<size_t>(place), kHeatAnchors.size() - 2);
  const double share = place - static_cast<double>(below);
  std::array<uint8_t, 3> colour{};
  for (size_t c = 0; c < 3; ++c)
    colour[c] = static_cast<uint8_t>(std::lround(
        kHeatAnchors[below][c] + share * (kHeatAnchors[below + 1][c] - kHeatAnchors[below][c])));
  return colour;
}

HeatRange heat_range(const std::vector<float>& values) {
  if (values.empty()) return {};
  std::vector<float> sorted = values;
  std::sort(sorted.begin(), sorted.end());
  const auto place = static_cast<size_t>(kHighQuantile * static_cast<double>(sorted.size() - 1));
  HeatRange range{.low = sorted.front(), .high = sorted[place]};
  if (range.high <= range.low) range.high = sorted.back();
  return range;
}

SourceBox box_of(const SourceBox& seen, const PatchMap& map) {
  const auto stretched = [](double begin, double end, int64_t cells, double on_picture) {
    return on_picture > 0 ? begin + (end - begin) * static_cast<double>(cells) / on_picture : end;
  };
  return {seen.x0, seen.y0, stretched(seen.x0, seen.x1, map.width, map.columns_seen),
          stretched(seen.y0, seen.y1, map.height, map.rows_seen)};
}

Image draw_overlay(const Image& photo, const SourceBox& seen, const PatchMap& map,
                   const OverlayOptions& options) {
  check(map.height > 0 && map.width > 0 &&
            static_cast<int64_t>(map.values.size()) == map.height * map.width,
        "overlay", "a map of {} x {} patches cannot hold {} values", map.height, map.width,
        map.values.size());
  check(seen.x1 > seen.x0 && seen.y1 > seen.y0, "overlay", "the model saw nothing of the photo");
  Image picture = to_rgb(photo);
  const Image luminance = to_grey(photo);
  const HeatRange range = heat_range(map.values);
  const double span = range.high > range.low ? range.high - range.low : 1;
  const PixelBox inside = pixels_of(seen, picture);
  const SourceBox box = box_of(seen, map);
  const double rows = static_cast<double>(map.height) / (box.y1 - box.y0);
  const double columns = static_cast<double>(map.width) / (box.x1 - box.x0);
  for (int y = inside.y0; y < inside.y1; ++y)
    for (int x = inside.x0; x < inside.x1; ++x) {
      const double value =
          value_between(map, (y + 0.5 - seen.y0) * rows - 0.5, (x + 0.5 - seen.x0) * columns - 0.5);
      const double t = std::clamp((value - range.low) / span, 0.0, 1.0);
      uint8_t* pixel = picture.row(y) + x * 3;
      const uint8_t light = luminance.row(y)[x];
      blend(pixel, {light, light, light}, options.opacity);
      blend(pixel, heat_colour(t), options.opacity * (1 - kHeatTransparency * t));
    }
  if (options.grid) draw_grid(picture, pixels_of(seen, picture), box, map);
  if (options.outline) draw_outline(picture, seen);
  return picture;
}

void draw_outline(Image& photo, const SourceBox& seen) {
  const PixelBox box = pixels_of(seen, photo);
  const int line = std::max(1, std::min(photo.width, photo.height) / 200);
  const std::array<uint8_t, 3> white = {255, 255, 255};
  blend_rectangle(photo, {box.x0, box.y0, box.x1, box.y0 + line}, white, 0.9);
  blend_rectangle(photo, {box.x0, box.y1 - line, box.x1, box.y1}, white, 0.9);
  blend_rectangle(photo, {box.x0, box.y0 + line, box.x0 + line, box.y1 - line}, white, 0.9);
  blend_rectangle(photo, {box.x1 - line, box.y0 + line, box.x1, box.y1 - line}, white, 0.9);
}

Image side_by_side(const std::vector<Image>& pictures) {
  check(!pictures.empty(), "overlay", "there is no picture to lay in a row");
  int width = kGap * (static_cast<int>(pictures.size()) - 1);
  for (const Image& picture : pictures) {
    check(picture.height == pictures.front().height, "overlay",
          "pictures {} and {} high do not stand in one row", pictures.front().height,
          picture.height);
    width += picture.width;
  }
  Image row(width, pictures.front().height, 3);
  std::fill(row.pixels.begin(), row.pixels.end(), uint8_t{255});
  size_t offset = 0;
  for (const Image& picture : pictures) {
    const Image rgb = to_rgb(picture);
    for (int y = 0; y < rgb.height; ++y)
      std::copy_n(rgb.row(y), rgb.row_bytes(), row.row(y) + offset);
    offset += rgb.row_bytes() + size_t{kGap} * 3;
  }
  return row;
}

PatchMap mask_coverage(const Image& mask, const SourceBox& box, const TokenLayout& layout) {
  const Image grey = to_grey(mask);
  PatchMap map{.height = layout.grid_height,
               .width = layout.grid_width,
               .values = std::vector<float>(static_cast<size_t>(layout.patches()))};
  const int64_t rows = map.height * kMaskSamples, columns = map.width * kMaskSamples;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) {
      const double y =
          box.y0 + (box.y1 - box.y0) * (static_cast<double>(r) + 0.5) / static_cast<double>(rows);
      const double x = box.x0 + (box.x1 - box.x0) * (static_cast<double>(c) + 0.5) /
                                    static_cast<double>(columns);
      if (x < 0 || y < 0 || x >= grey.width || y >= grey.height) continue;
      if (grey.row(static_cast<int>(y))[static_cast<int>(x)] > 127)
        map.values[static_cast<size_t>(r / kMaskSamples * map.width + c / kMaskSamples)] +=
            1.0f / (kMaskSamples * kMaskSamples);
    }
  return map;
}

Image shrunk(const Image& picture, int side) {
  const int longest = std::max(picture.width, picture.height);
  if (longest <= side) return picture;
  const double factor = static_cast<double>(side) / longest;
  const auto scaled = [&](int size) {
    return std::max(1, static_cast<int>(std::lround(size * factor)));
  };
  return resize(picture, scaled(picture.width), scaled(picture.height), Filter::bicubic);
}

ShrunkPhoto shrunk_photo(const Explanation& explanation, int side) {
  ShrunkPhoto result{.photo = shrunk(explanation.photo, side), .seen = explanation.geometry.box};
  const double x = static_cast<double>(result.photo.width) / explanation.photo.width;
  const double y = static_cast<double>(result.photo.height) / explanation.photo.height;
  result.seen.x0 *= x, result.seen.x1 *= x;
  result.seen.y0 *= y, result.seen.y1 *= y;
  return result;
}

void check_mask(const Explanation& explanation, const Image& mask) {
  const Image& photo = explanation.photo;
  check(mask.width == photo.width && mask.height == photo.height, "explain",
        "a mask of {} x {} pixels does not fit a picture of {} x {}", mask.width, mask.height,
        photo.width, photo.height);
}

Image explanation_overlay(const Explanation& explanation, const Image& mask) {
  const ShrunkPhoto shown = shrunk_photo(explanation, kOverlaySide);
  std::vector<Image> pictures{shown.photo};
  draw_outline(pictures[0], shown.seen);
  std::vector<PatchMap> maps = explanation.stage_maps;
  if (explanation.no_rollout.empty()) maps = {patch_map(explanation.layout, explanation.rollout)};
  for (const PatchMap& map : maps) pictures.push_back(draw_overlay(shown.photo, shown.seen, map));
  if (!mask.pixels.empty()) {
    check_mask(explanation, mask);
    pictures.push_back(to_rgb(shrunk(mask, kOverlaySide)));
    draw_outline(pictures.back(), shown.seen);
  }
  return side_by_side(pictures);
}

}  // namespace vitrail
