// The table of network types: a row for each in network_types.cpp, by the name that a configuration
// gives.
#pragma once

#include <string>
#include <vector>

#include "models/network_config.h"

namespace vitrail {

// The configuration of each type, before anything is set.
std::vector<NetworkConfig> default_networks();

// The fields of all types, each name once.
std::vector<std::string> network_field_names();

}  // namespace vitrail
