#include "formats/json.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/printable.h"
#include "formats/json_text.h"
#include "formats/json_tree.h"
#include "formats/text_file.h"

namespace vitrail {
namespace {

template <typename T>
struct Reader;  // what(): the type's name; read(json, value): false when json is of another type

template <>
struct Reader<bool> {
  static constexpr const char* kWhat = "true or false";
  static bool read(const Json& json, bool& value) {
    if (!json.is_boolean()) return false;
    value = json.get<bool>();
    return true;
  }
};
template <>
struct Reader<int64_t> {
  static constexpr const char* kWhat = "a whole number";
  static bool read(const Json& json, int64_t& value) {
    if (!json.is_number_integer()) return false;
    if (json.is_number_unsigned() &&
        json.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      return false;
    value = json.get<int64_t>();
    return true;
  }
};
template <>
struct Reader<double> {
  static constexpr const char* kWhat = "a number";
  static bool read(const Json& json, double& value) {
    if (!json.is_number()) return false;
    value = json.get<double>();
    return true;
  }
};
template <>
struct Reader<std::string> {
  static constexpr const char* kWhat = "text";
  static bool read(const Json& json, std::string& value) {
    if (!json.is_string()) return false;
    value = json.get_ref<const std::string&>();
    return true;
  }
};
template <typename T>
struct Reader<std::vector<T>> {
  static bool read(const Json& json, std::vector<T>& values) {
    if (!json.is_array()) return false;
    values.resize(json.size());
    for (size_t i = 0; i < values.size(); ++i)
      if (!Reader<T>::read(json[i], values[i])) return false;
    return true;
  }
};

template <typename T>
std::string what() {
  if constexpr (requires { Reader<T>::kWhat; })
    return Reader<T>::kWhat;
  else
    return std::string("a list, each of it ") + Reader<typename T::value_type>::kWhat;
}

// A value as a message shows it: short and on one line.
std::string shown(const Json& json) {
  if (json.is_object()) return "an object";
  if (json.is_array()) return "a list";
  if (json.is_string()) return '"' + printable(json.get_ref<const std::string&>(), 60) + '"';
  return json_text(json);
}

}  // namespace

Json parse_json(std::string_view text, const std::string& place, const JsonLimits& limits) {
  if (text.size() > limits.bytes)
    fail("json", "{}: has {} bytes, above the limit of {}", place, text.size(), limits.bytes);
  text = checked_text(text, place);
  JsonTree tree(place, limits);
  parse_json_events(text, tree);
  return tree.take();
}

Json read_json(const std::filesystem::path& path, const JsonLimits& limits) {
  return parse_json(read_text_file(path, limits.bytes), path.string(), limits);
}

std::optional<Json> try_parse_json(std::string_view text, const JsonLimits& limits) {
  try {
    return parse_json(text, "", limits);
  } catch (const Error&) {
    return std::nullopt;
  }
}

void write_json(const std::filesystem::path& path, const Json& json) {
  if (const std::string found = find_not_utf8(json); !found.empty())
    fail("json", "{}: {}, which is not UTF-8 and has no place in JSON; rename it",
         printable(path.string()), found);
  write_file_atomically(path, json_text(json, 2) + "\n");
}

template <typename T>
std::optional<T> get_optional(const Json& object, std::string_view key, const std::string& place) {
  if (!object.is_object()) fail("json", "{}: is {}, not an object", place, shown(object));
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return std::nullopt;
  T value{};
  if (!Reader<T>::read(*found, value))
    fail("json", "{}: {} is {}, not {}", place, key, shown(*found), what<T>());
  return value;
}

template <typename T>
T get(const Json& object, std::string_view key, const std::string& place) {
  std::optional<T> value = get_optional<T>(object, key, place);
  if (!value) fail("json", "{}: has no {}, which takes {}", place, key, what<T>());
  return *std::move(value);
}

int64_t get_in(const Json& object, std::string_view key, const std::string& place,
               Range<int64_t> range) {
  const auto value = get<int64_t>(object, key, place);
  if (value < range.low || value > range.high)
    fail("json", "{}: {} is {}, outside {} to {}", place, key, value, range.low, range.high);
  return value;
}

#define VITRAIL_JSON_FIELD(T)                                           \
  template T get<T>(const Json&, std::string_view, const std::string&); \
  template std::optional<T> get_optional<T>(const Json&, std::string_view, const std::string&);
VITRAIL_JSON_FIELD(bool)
VITRAIL_JSON_FIELD(int64_t)
VITRAIL_JSON_FIELD(double)
VITRAIL_JSON_FIELD(std::string)
VITRAIL_JSON_FIELD(std::vector<int64_t>)
VITRAIL_JSON_FIELD(std::vector<double>)
VITRAIL_JSON_FIELD(std::vector<std::string>)
#undef VITRAIL_JSON_FIELD

}  // namespace vitrail
