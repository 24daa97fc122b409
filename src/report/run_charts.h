// The curves of a run as data for src/report/web/run_charts.js.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "report/run_record.h"

namespace vitrail {

// A chart for each number that the run recorded, those that everybody wants first; x in epochs
// where an epoch's steps are known, else in steps. Long series are averaged to kChartPoints points.
inline constexpr size_t kChartPoints = 600;
nlohmann::json run_charts(const RunRecord& record);

// An evaluated set as readers call it: "validation" for "val".
std::string set_title(const std::string& set);

}  // namespace vitrail
