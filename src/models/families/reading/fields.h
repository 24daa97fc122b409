// A configuration's fields as a closed list: each is read, has no effect on an answer, or may hold
// nothing but the value that means "off". Any other is an Error naming it.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>

namespace vitrail {

struct FieldRule {
  enum Kind : uint8_t {
    kRead,    // its value counts and is checked where it is used
    kIdle,    // no answer depends on it, whatever it holds
    kNumber,  // a number on which no answer depends (rates of dropout, initialisers, sizes of
              // parts that are not run)
    kFlag,    // true or false, likewise
    kOnly,    // one of `values` alone
  };
  std::string_view name;
  Kind kind = kRead;
  std::string_view values = {};  // of kOnly: a JSON list
};

// Null stands for a field that is absent, as Python's libraries have it. `owner` is whose fields
// these are ("transformers' ViTConfig"). Error: a field that no rule names, a value that its rule
// does not allow.
struct FieldList {
  std::string place;  // "config.json", "config.json's model_args"
  std::string owner;
  std::span<const std::span<const FieldRule>> rules;
};
void check_fields(const nlohmann::json& object, const FieldList& list);

// Whether one of the rules names the field.
bool is_field(std::span<const FieldRule> rules, std::string_view name);

// A value for a message: as it stands in the file, on one line and short.
std::string shown(const nlohmann::json& value);

}  // namespace vitrail
