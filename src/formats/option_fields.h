// Options whose fields are known by name, in JSON and in "--set name=value". A struct of options
// brings one list of its fields, of type bool, int64_t, double, std::string and vectors of the last
// three:
//   constexpr auto kFields = [](auto& options, auto visit) { visit("name", options.name); ... };
// Several such structs may share one flat object: each takes the names that are its own.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>

#include "core/error.h"
#include "core/printable.h"
#include "formats/json.h"

namespace vitrail {

// A setting's text as the JSON value of a field of this type. Error: it is none.
template <typename Field>
Json value_from_text(const std::string& name, const std::string& text, const char* place) {
  if constexpr (std::is_same_v<Field, std::string>) {
    return text;
  } else {
    const bool list = !std::is_arithmetic_v<Field>;
    try {
      return parse_json(list ? "[" + text + "]" : text, name);
    } catch (const Error&) {
      fail(place, "{} takes {}, not '{}'", name,
           list                          ? "numbers with commas between them"
           : std::is_same_v<Field, bool> ? "true or false"
                                         : "a number",
           printable(text));
    }
  }
}

template <typename Options, typename Fields>
Json fields_to_json(const Options& options, Fields fields) {
  Json out = Json::object();
  fields(options, [&](const char* name, const auto& field) { out[name] = field; });
  return out;
}

// Takes the fields that the object has; the others keep their values. Error: a value of another
// type.
template <typename Options, typename Fields>
void fields_from_json(Options& options, Fields fields, const Json& in, const char* place) {
  check(in.is_object(), place, "must be a JSON object");
  fields(options, [&](const char* name, auto& field) {
    using Field = std::remove_reference_t<decltype(field)>;
    if (auto value = get_optional<Field>(in, name, place)) field = std::move(*value);
  });
}

// false: there is no field of that name. Error: a value that it cannot have.
template <typename Options, typename Fields>
bool field_from_text(Options& options, Fields fields, const std::string& name,
                     const std::string& text, const char* place) {
  bool found = false;
  fields(options, [&](const char* field_name, auto& field) {
    using Field = std::remove_reference_t<decltype(field)>;
    if (name != field_name) return;
    found = true;
    field = get<Field>(Json{{name, value_from_text<Field>(name, text, place)}}, name, place);
  });
  return found;
}

}  // namespace vitrail
