// JSON from strangers: named limits before parsing, one-line errors with the position, typed
// fields.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vitrail {

using Json = nlohmann::json;

struct JsonLimits {
  size_t bytes = size_t{64} << 20;
  int depth = 64;  // nested arrays and objects
};

// Of a key given twice the last value counts, as Python's json has it. `place` names the text in
// messages. Error: beyond a limit, not UTF-8, or not JSON (line and column are named).
Json parse_json(std::string_view text, const std::string& place, const JsonLimits& limits = {});
Json read_json(const std::filesystem::path& path, const JsonLimits& limits = {});
// Indented by two spaces, keys ascending, a line end at the end; written atomically.
void write_json(const std::filesystem::path& path, const Json& json);

// A field of an object, for T in bool, int64_t, double, std::string and vectors of the last three.
// An integer is a double too, never the other way round. Error: absent, null or of another type.
template <typename T>
T get(const Json& object, std::string_view key, const std::string& place);
// Absent and null are nothing. Error: of another type.
template <typename T>
std::optional<T> get_optional(const Json& object, std::string_view key, const std::string& place);

template <typename T>
struct Range {
  T low = std::numeric_limits<T>::lowest();
  T high = std::numeric_limits<T>::max();
};
// Error: as get, or outside [low, high].
int64_t get_in(const Json& object, std::string_view key, const std::string& place,
               Range<int64_t> range);

}  // namespace vitrail
