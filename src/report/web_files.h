// The text files of src/report/web, which the build turns into strings of the program.
#pragma once

#include <string_view>

namespace vitrail::web {

extern const std::string_view kExplainHtml;
extern const std::string_view kExplainCss;
extern const std::string_view kExplainJs;

}  // namespace vitrail::web
