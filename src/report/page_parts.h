// What every page is put together with: a template whose {{names}} are replaced, data as JSON that
// no label can break out of, pictures in data: addresses.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "image/image.h"

namespace vitrail {

// As text of a <script>: no '<', so that no label can end it; ASCII; broken UTF-8 is replaced.
std::string script_text(const nlohmann::json& value);
// As text of an element; broken UTF-8 becomes U+FFFD.
std::string html_text(const std::string& text);
// All that stands before <body>: both pages have the same but for title and styles of their own.
std::string page_head(std::string_view title, std::string_view css);
// Replaces each {{name}} in one pass: what is put in is not searched again.
std::string fill_in(std::string_view page,
                    const std::vector<std::pair<std::string_view, std::string_view>>& parts);

std::string jpeg_address(const Image& picture, int quality);
std::string png_address(const Image& picture);

// The colours of maps over patches (explain/overlay.h), from the darkest to the lightest.
nlohmann::json heat_steps();

}  // namespace vitrail
