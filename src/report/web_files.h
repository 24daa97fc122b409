// The text files of src/report/web, which the build turns into strings of the program.
#pragma once

#include <string_view>

namespace vitrail::web {

extern const std::string_view kHeadHtml;  // of every page: all before <body>
extern const std::string_view kLogoSvg;
extern const std::string_view kPaletteCss;  // the colours of every page, light and dark
extern const std::string_view kPageCss;     // the style of every page
extern const std::string_view kPageJs;      // what the scripts of every page begin with
extern const std::string_view kMapsJs;      // maps over patches, for every page

extern const std::string_view kExplainHtml;
extern const std::string_view kExplainCss;
extern const std::string_view kAttentionJs;  // rows of attention from queries and keys
extern const std::string_view kStageJs;      // the photo and its map, drawn
extern const std::string_view kExplainJs;

extern const std::string_view kRunHtml;
extern const std::string_view kRunCss;
extern const std::string_view kRunChartsJs;
extern const std::string_view kRunTablesJs;
extern const std::string_view kRunGalleryJs;
extern const std::string_view kRunJs;

}  // namespace vitrail::web
