// Maps over patches, drawn on the photo.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "explain/explanation.h"

namespace vitrail {

// Dark blue over purple and orange to pale yellow, each step lighter than the one before, so that
// it reads in grey and by people who see fewer colours. t in [0, 1].
std::array<uint8_t, 3> heat_colour(double t);
// By how much the lightest colour covers less than the darkest one: what is attended to stays
// visible under the map, and the rest grows dark.
inline constexpr double kHeatTransparency = 0.4;

// Which values get the darkest and the lightest colour: the smallest one, and the 99th percentile,
// so that a single outlying patch does not hide the rest.
struct HeatRange {
  float low = 0, high = 1;
};
HeatRange heat_range(const std::vector<float>& values);

struct OverlayOptions {
  double opacity = 0.82;  // of the darkest colour over the photo
  bool outline = true;    // of what the model saw
  bool grid = false;      // of the patches
};

// The box that a whole map covers: what the model saw, and beyond it the padding behind it.
SourceBox box_of(const SourceBox& seen, const PatchMap& map);

// The map, bilinearly between patch centres, over the part of the photo that the model saw, which
// turns grey so that its own colours do not mix in.
Image draw_overlay(const Image& photo, const SourceBox& seen, const PatchMap& map,
                   const OverlayOptions& options = {});

// The edge of what the model saw, and nothing else.
void draw_outline(Image& photo, const SourceBox& seen);

// Pictures of one height in a row, with a gap between them. RGB and grey may be mixed.
Image side_by_side(const std::vector<Image>& pictures);

// Share of each patch that a mask covers (pixels above 127 are the object), in [0, 1]. `box`: what
// all patches cover. The mask has the photo's size; grey or RGB.
PatchMap mask_coverage(const Image& mask, const SourceBox& box, const TokenLayout& layout);

// No side longer than `side`; smaller pictures stay as they are.
Image shrunk(const Image& picture, int side);

// The photo at a size for pages and overlays, and what the model saw of it, in its pixels.
struct ShrunkPhoto {
  Image photo;
  SourceBox seen;
};
ShrunkPhoto shrunk_photo(const Explanation& explanation, int side);

// Photo, rollout drawn on it (without one, the map of each stage), and the mask where there is one
// (no pixels: none), in a row. Error: a mask of another size than the photo.
Image explanation_overlay(const Explanation& explanation, const Image& mask = {});
void check_mask(const Explanation& explanation, const Image& mask);

}  // namespace vitrail
