#include "models/families/reading/sides.h"

#include <vector>

#include "core/error.h"

namespace vitrail {

std::pair<int64_t, int64_t> sides_from_json(const Json& config, const char* key,
                                            const std::string& place, const char* library) {
  if (config.at(key).is_array()) {
    const auto pair = get<std::vector<int64_t>>(config, key, place);
    if (pair.size() != 2) fail(library, "{}: {} takes one number or two", place, key);
    return {pair[0], pair[1]};
  }
  const auto side = get<int64_t>(config, key, place);
  return {side, side};
}

Json sides_to_json(int64_t height, int64_t width) {
  if (height == width) return height;
  return Json{height, width};
}

}  // namespace vitrail
