// Words on pictures: capitals, digits and a little punctuation, 5 x 7 pixels each, for sheets that
// people look at. Small letters become capitals; what has no glyph is a box.
#pragma once

#include <array>
#include <string_view>

#include "image/image.h"

namespace vitrail {

inline constexpr int kLetterAdvance = 6, kLetterHeight = 7;

// From (x, y), the top left corner, to the right; clipped at the picture's edges.
void draw_text(Image& image, int x, int y, std::string_view text, std::array<uint8_t, 3> color);

}  // namespace vitrail
