// JSON from strangers: named limits, one-line errors with the position, typed fields.
//
// A tree takes up to some 120 bytes for each value, far more than its text ("[]," is 48 of 3), so
// what a stranger can make us take is bounded by the number of values as well as by the bytes. A
// file that may rightly be large is read by formats/json_lists.h, which never holds all of it.
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

// By default those of a configuration, of names of classes, of a preset: the largest in use, the
// 21,843 names of ImageNet-21k with their identifiers, are 2 MB and 45,000 values.
struct JsonLimits {
  size_t bytes = size_t{16} << 20;
  int depth = 64;  // nested arrays and objects
  size_t values = 1'000'000;
};
// model.safetensors.index.json: a value for each tensor of a model in shards.
inline constexpr JsonLimits kIndexJson{.bytes = size_t{64} << 20, .depth = 8};

// Of a key given twice the last value counts, as Python's json has it. `place` names the text in
// messages. Error: beyond a limit, no text (formats/text_file.h: a NUL, UTF-16), text behind the
// value, a number beyond what a double can hold, NaN, or not JSON (line and column are named).
Json parse_json(std::string_view text, const std::string& place, const JsonLimits& limits = {});
Json read_json(const std::filesystem::path& path, const JsonLimits& limits = {});
// The same, and nothing instead of an Error: lines of a log, whose last may be torn.
std::optional<Json> try_parse_json(std::string_view text, const JsonLimits& limits = {});
// Indented, keys ascending, a line end at the end; atomic. Error: a text in it is not UTF-8.
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
