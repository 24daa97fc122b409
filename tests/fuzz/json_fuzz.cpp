// Any bytes either are refused with an Error or parse; a JSON that parses prints and parses again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "core/error.h"
#include "formats/json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const vitrail::Json json = vitrail::parse_json(text, "fuzz");
    if (vitrail::parse_json(json.dump(), "fuzz") != json) std::abort();
    if (!json.is_object()) return 0;
    for (const auto& [key, value] : json.items()) {
      try {
        vitrail::get_optional<int64_t>(json, key, "fuzz");
        vitrail::get_optional<double>(json, key, "fuzz");
        vitrail::get_optional<std::vector<std::string>>(json, key, "fuzz");
      } catch (const vitrail::Error&) {
      }
    }
  } catch (const vitrail::Error&) {
  }
  return 0;
}
