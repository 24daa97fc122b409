// Two sides of a picture or a patch, as configurations write them: one number for a square, or
// [height, width].
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "formats/json.h"

namespace vitrail {

// config[key], which is there. Error, in the library's name: neither one number nor two.
std::pair<int64_t, int64_t> sides_from_json(const Json& config, const char* key,
                                            const std::string& place, const char* library);
Json sides_to_json(int64_t height, int64_t width);

}  // namespace vitrail
