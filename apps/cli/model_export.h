// A model's preprocessing in the form of the family that it is written for.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "image/preprocess/preprocess.h"
#include "models/families/family.h"

namespace vitrail::cli {

// `differences` gets what the family cannot say exactly. Error: what it cannot say at all.
nlohmann::json preprocess_for(const Family* target, const Preprocess& preprocess,
                              std::vector<std::string>& differences);

}  // namespace vitrail::cli
