// What a run must have in common with the checkpoint that it continues.
#pragma once

#include <nlohmann/json.hpp>

#include "train/run_data.h"

namespace vitrail {

// By name: the pictures themselves, wherever their folder lies, and the configuration without what
// only says how a step is computed.
nlohmann::json identity_of(const TrainConfig& config, const RunData& data);

}  // namespace vitrail
