// config.json as Vitrail writes it: every field of the model. Files of a family whose library
// writes none carry it, too, with that family's name.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "models/families/convert.h"
#include "models/families/reading/model_file.h"

namespace vitrail {

nlohmann::json own_config(const NetworkConfig& config, const ConversionOptions& options);
// What such a configuration and --set say, whichever family's names the tensors have. Error: fields
// that are not known, and what nobody says.
ReadModel read_own_config(const FileReading& file);

}  // namespace vitrail
