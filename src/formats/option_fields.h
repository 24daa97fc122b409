// Options whose fields are known by name, in JSON and in "--set name=value". A struct of options
// brings one list of its fields, of type bool, int64_t, double, std::string, vectors of the last
// three, and enums with words:
//   constexpr auto kFields = [](auto& options, auto visit) { visit("name", options.name); ... };
// An enum has words where words_of(Enum) is found beside it: a range of Word<Enum>.
// Several such structs may share one flat object: each takes the names that are its own.
#pragma once

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "core/error.h"
#include "core/printable.h"
#include "formats/json.h"

namespace vitrail {

template <typename Enum>
struct Word {
  Enum value;
  const char* word;
};

template <typename Enum>
const char* word_of(Enum value) {
  for (const auto& entry : words_of(value))
    if (entry.value == value) return entry.word;
  return "?";
}

// Error: there is no such word; the message lists those that there are.
template <typename Enum>
Enum value_of_word(const std::string& name, const std::string& text, const char* place) {
  std::string known;
  for (const auto& entry : words_of(Enum{})) {
    if (text == entry.word) return entry.value;
    known += (known.empty() ? "" : ", ") + std::string(entry.word);
  }
  fail(place, "{} takes one of {}, not '{}'", name, known, printable(text));
}

// A setting's text as the JSON value of a field of this type. Error: it is none.
template <typename Field>
Json value_from_text(const std::string& name, const std::string& text, const char* place) {
  if constexpr (std::is_same_v<Field, std::string> || std::is_enum_v<Field>) {
    return text;
  } else {
    const bool list = !std::is_arithmetic_v<Field>;
    try {
      if (!text.empty()) return parse_json(list ? "[" + text + "]" : text, name);
    } catch (const Error&) {  // said below
    }
    fail(place, "{} takes {}, not '{}'", name,
         list                          ? "numbers with commas between them"
         : std::is_same_v<Field, bool> ? "true or false"
                                       : "a number",
         printable(text));
  }
}

// A field of the object; nothing when the object has none. Error: a value that it cannot have.
template <typename Field>
std::optional<Field> field_of(const Json& object, const std::string& name, const char* place) {
  if constexpr (std::is_enum_v<Field>) {
    const auto word = get_optional<std::string>(object, name, place);
    if (!word) return std::nullopt;
    return value_of_word<Field>(name, *word, place);
  } else {
    return get_optional<Field>(object, name, place);
  }
}

template <typename Options, typename Fields>
Json fields_to_json(const Options& options, Fields fields) {
  Json out = Json::object();
  fields(options, [&](const char* name, const auto& field) {
    if constexpr (std::is_enum_v<std::remove_cvref_t<decltype(field)>>)
      out[name] = word_of(field);
    else
      out[name] = field;
  });
  return out;
}

// The names of the fields.
template <typename Options, typename Fields>
std::vector<std::string> field_names(Fields fields) {
  std::vector<std::string> names;
  const Options options;
  fields(options, [&](const char* name, const auto&) { names.emplace_back(name); });
  return names;
}

// Takes the fields that the object has; the others keep their values. Error: a value of another
// type.
template <typename Options, typename Fields>
void fields_from_json(Options& options, Fields fields, const Json& in, const char* place) {
  check(in.is_object(), place, "must be a JSON object");
  fields(options, [&](const char* name, auto& field) {
    using Field = std::remove_reference_t<decltype(field)>;
    if (auto value = field_of<Field>(in, name, place)) field = std::move(*value);
  });
}

// The same of an object that holds these fields and no other. Error, too: another one, or null.
template <typename Options, typename Fields>
void closed_fields_from_json(Options& options, Fields fields, const Json& in, const char* place) {
  fields_from_json(options, fields, in, place);
  const std::vector<std::string> known = field_names<Options>(fields);
  for (const auto& item : in.items()) {
    check(std::ranges::find(known, item.key()) != known.end(), place, "there is no field '{}'",
          printable(item.key()));
    check(!item.value().is_null(), place, "{} is null; leave it out to have its default",
          item.key());
  }
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
    field = *field_of<Field>(Json{{name, value_from_text<Field>(name, text, place)}}, name, place);
  });
  return found;
}

}  // namespace vitrail
