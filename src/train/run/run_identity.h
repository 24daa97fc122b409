// What a run must have in common with the checkpoint that it continues.
#pragma once

#include <nlohmann/json.hpp>

#include "train/run/run_data.h"

namespace vitrail {

// Of a set: how many pictures and classes, and a hash of every picture's id and label.
nlohmann::json identity_of(const Dataset& set);

// By name: the pictures themselves, wherever their folder lies, and the configuration without what
// only says how a step is computed.
nlohmann::json identity_of(const TrainConfig& config, const RunData& data);

}  // namespace vitrail
