#include "report/page_parts.h"

#include <fmt/format.h>

#include <span>

#include "explain/overlay.h"
#include "image/codec/codec.h"
#include "report/text_encoding.h"
#include "report/web_files.h"

namespace vitrail {
namespace {

using nlohmann::json;

std::string data_address(const char* type, const std::vector<std::byte>& bytes) {
  return fmt::format("data:{};base64,{}", type, encode_base64(bytes));
}

}  // namespace

std::string script_text(const json& value) {
  const std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  std::string safe;
  safe.reserve(text.size());
  for (const char c : text) {
    if (c == '<')
      safe += "\\u003c";
    else
      safe += c;
  }
  return safe;
}

std::string html_text(const std::string& text) {
  const std::string quoted = json(text).dump(-1, ' ', false, json::error_handler_t::replace);
  std::string safe;
  for (const char c : json::parse(quoted).get<std::string>()) {
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      default:
        safe += c;
    }
  }
  return safe;
}

std::string fill_in(std::string_view page,
                    const std::vector<std::pair<std::string_view, std::string_view>>& parts) {
  std::string filled;
  while (true) {
    const size_t open = page.find("{{");
    if (open == std::string_view::npos) break;
    const size_t close = page.find("}}", open);
    const std::string_view name = page.substr(open + 2, close - open - 2);
    filled += page.substr(0, open);
    for (const auto& [key, text] : parts)
      if (key == name) filled += text;
    page.remove_prefix(close + 2);
  }
  return filled.append(page);
}

std::string page_head(std::string_view title, std::string_view css) {
  return fill_in(
      web::kHeadHtml,
      {{"title", title}, {"palette", web::kPaletteCss}, {"page", web::kPageCss}, {"css", css}});
}

std::string jpeg_address(const Image& picture, int quality) {
  return data_address("image/jpeg", encode_jpeg(picture, quality));
}

std::string png_address(const Image& picture) {
  return data_address("image/png", encode_png(picture));
}

json heat_steps() {
  constexpr int kSteps = 64;
  json steps = json::array();
  for (int i = 0; i <= kSteps; ++i) steps.push_back(heat_colour(static_cast<double>(i) / kSteps));
  return steps;
}

}  // namespace vitrail
