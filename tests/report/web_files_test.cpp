// What the pages are made of, without a browser: one palette whose colours can be told apart, light
// and dark, and elements that screen readers can name.
#include "report/web_files.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace vitrail {
namespace {

using Palette = std::map<std::string, std::string>;  // "--ground" is "ground"

Palette colours_in(const std::string& css) {
  static const std::regex kColour(R"(--([a-z0-9-]+): (#[0-9a-f]+);)");
  Palette palette;
  for (std::sregex_iterator i(css.begin(), css.end(), kColour), end; i != end; ++i)
    palette[(*i)[1]] = (*i)[2];
  return palette;
}

struct Schemes {
  Palette light, dark;
};

Schemes schemes() {
  const std::string css(web::kPaletteCss);
  const size_t dark = css.find("@media screen and (prefers-color-scheme: dark)");
  EXPECT_NE(dark, std::string::npos);
  return {colours_in(css.substr(0, dark)), colours_in(css.substr(dark))};
}

// WCAG 2.2: relative luminance of sRGB, and the contrast of two colours, from 1 to 21.
double luminance(const std::string& colour) {
  constexpr double kWeights[] = {0.2126, 0.7152, 0.0722};
  double sum = 0;
  for (size_t i = 0; i < 3; ++i) {
    const double c = std::stoi(colour.substr(1 + 2 * i, 2), nullptr, 16) / 255.0;
    sum += kWeights[i] * (c <= 0.04045 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4));
  }
  return sum;
}

double contrast(const std::string& a, const std::string& b) {
  const auto [dark, light] = std::minmax({luminance(a), luminance(b)});
  return (light + 0.05) / (dark + 0.05);
}

TEST(Palette, ContrastIsThatOfTheStandard) {
  EXPECT_DOUBLE_EQ(contrast("#000000", "#ffffff"), 21);
  EXPECT_DOUBLE_EQ(contrast("#336699", "#336699"), 1);
  EXPECT_NEAR(contrast("#777777", "#ffffff"), 4.48, 0.005);  // the grey that is known to fall short
}

TEST(Palette, TextAndMarksAreReadableInBothSchemes) {
  constexpr double kText = 4.5, kMark = 3;
  const struct {
    const char* ink;
    std::vector<const char*> grounds;
    double least;
  } kPairs[] = {
      {"text", {"ground", "glow", "card", "raised", "hit", "miss"}, kText},
      {"muted", {"ground", "glow", "card", "raised"}, kText},
      {"accent", {"ground", "glow", "card", "raised"}, kText},
      {"on-accent", {"accent"}, kText},
      {"teal", {"ground", "glow", "card"}, kText},
      {"bad", {"ground", "glow", "card"}, kText},
      {"violet", {"card"}, kMark},
  };
  const Schemes both = schemes();
  for (const auto& [name, palette] : {std::pair("light", both.light), std::pair("dark", both.dark)})
    for (const auto& [ink, grounds, least] : kPairs)
      for (const char* ground : grounds)
        EXPECT_GE(contrast(palette.at(ink), palette.at(ground)), least)
            << ink << " on " << ground << ", " << name;
  // The chosen patch and the frame are seen on any picture: one of each pair stands out.
  EXPECT_GE(contrast(both.light.at("frame"), both.light.at("frame-edge")), kMark);
  EXPECT_GE(contrast(both.light.at("chosen"), both.light.at("frame-edge")), kMark);
}

const std::map<std::string, std::string_view>& files() {
  static const std::map<std::string, std::string_view> kFiles = {
      {"head.html", web::kHeadHtml},
      {"logo.svg", web::kLogoSvg},
      {"page.css", web::kPageCss},
      {"page.js", web::kPageJs},
      {"maps.js", web::kMapsJs},
      {"explain.html", web::kExplainHtml},
      {"explain.css", web::kExplainCss},
      {"attention.js", web::kAttentionJs},
      {"stage.js", web::kStageJs},
      {"explain.js", web::kExplainJs},
      {"run.html", web::kRunHtml},
      {"run.css", web::kRunCss},
      {"run_charts.js", web::kRunChartsJs},
      {"run_tables.js", web::kRunTablesJs},
      {"run_gallery.js", web::kRunGalleryJs},
      {"run.js", web::kRunJs},
  };
  return kFiles;
}

TEST(Palette, HasEveryColourAndNoOther) {
  // Numbers of colours, but for "rgb(${...}": the colours of maps are data (overlay.h).
  const std::regex literal(R"(#[0-9a-fA-F]{3,8}\b|\b(rgba?|hsla?|oklch|light-dark)\((?!\$))");
  const std::regex use(R"(var\(--([a-z0-9-]+))"), own(R"(--([a-z0-9-]+)['":])");
  const Schemes both = schemes();
  std::set<std::string> used, local;
  std::string scripts;
  for (const auto& [name, view] : files()) {
    const std::string text(view);
    std::smatch found;
    EXPECT_FALSE(std::regex_search(text, found, literal)) << name << ": " << found.str();
    for (std::sregex_iterator i(text.begin(), text.end(), use), end; i != end; ++i)
      used.insert((*i)[1]);
    for (std::sregex_iterator i(text.begin(), text.end(), own), end; i != end; ++i)
      local.insert((*i)[1]);
    if (name.ends_with(".js")) scripts += text;
  }
  for (const std::string& name : used)
    EXPECT_TRUE(both.light.contains(name) || local.contains(name)) << name << " is not defined";
  for (const auto& [name, colour] : both.light)
    EXPECT_TRUE(used.contains(name) || scripts.find("'" + name + "'") != std::string::npos)
        << name << " is not used";
  for (const auto& [name, colour] : both.dark)
    EXPECT_TRUE(both.light.contains(name)) << name << " is dark alone";
}

TEST(WebFiles, BothPagesHaveTheSameHeadAndPolicy) {
  const std::string head(web::kHeadHtml);
  EXPECT_NE(head.find("<meta name=\"color-scheme\" content=\"light dark\">"), std::string::npos);
  EXPECT_NE(head.find("content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
                      "script-src 'unsafe-inline'\""),
            std::string::npos);
  for (const std::string_view page : {web::kExplainHtml, web::kRunHtml}) {
    EXPECT_EQ(page.substr(0, 8), "{{head}}");
    EXPECT_NE(page.find("<noscript>"), std::string_view::npos);
  }
}

TEST(WebFiles, CanvasesAndControlsHaveNames) {
  const std::regex tag(R"(<(canvas|section|nav|table)\b[^>]*>)");
  for (const std::string_view page : {web::kExplainHtml, web::kRunHtml}) {
    const std::string html(page);
    int count = 0;
    for (std::sregex_iterator i(html.begin(), html.end(), tag), end; i != end; ++i, ++count) {
      const std::string element = i->str();
      const std::string kind = (*i)[1];
      if (kind == "table") continue;  // its caption is made with its rows
      // The script of a canvas gives it the name of what it draws.
      const char* needed = kind == "canvas" ? "role=\"img\"" : "aria-label";
      EXPECT_NE(element.find(needed), std::string::npos) << element;
    }
    EXPECT_GT(count, 3);
  }
}

}  // namespace
}  // namespace vitrail
