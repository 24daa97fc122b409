#include "models/families/reading/fields.h"

#include <algorithm>

#include "core/error.h"
#include "core/printable.h"

namespace vitrail {
namespace {

constexpr size_t kShownField = 60, kShownValue = 60;

const FieldRule* rule_of(const FieldList& list, std::string_view name) {
  for (const std::span<const FieldRule> rules : list.rules)
    for (const FieldRule& rule : rules)
      if (rule.name == name) return &rule;
  return nullptr;
}

// "true" or "eager, sdpa": the values that stand in a JSON list.
std::string listed(const nlohmann::json& values) {
  std::string text;
  for (const auto& value : values) text += (text.empty() ? "" : ", ") + shown(value);
  return text.empty() ? "null" : text;
}

void check_field(const FieldList& list, const std::string& name, const nlohmann::json& value) {
  const FieldRule* rule = rule_of(list, name);
  if (rule == nullptr)
    fail("config",
         "{}: '{}' is no field of {} that Vitrail knows; a field that is not read may change the "
         "answer",
         list.place, printable(name, kShownField), list.owner);
  if (value.is_null()) return;
  const auto refuse = [&](const std::string& wanted) {
    fail("config", "{}: {} is {}, which Vitrail does not implement; it may be {}", list.place,
         printable(name, kShownField), shown(value), wanted);
  };
  switch (rule->kind) {
    case FieldRule::kRead:
    case FieldRule::kIdle:
      return;
    case FieldRule::kNumber:
      if (!value.is_number()) refuse("a number");
      return;
    case FieldRule::kFlag:
      if (!value.is_boolean()) refuse("true or false");
      return;
    case FieldRule::kOnly: {
      const auto allowed = nlohmann::json::parse(rule->values);
      if (std::ranges::find(allowed, value) == allowed.end()) refuse(listed(allowed));
    }
  }
}

}  // namespace

void check_fields(const nlohmann::json& object, const FieldList& list) {
  for (const auto& [name, value] : object.items()) check_field(list, name, value);
}

bool is_field(std::span<const FieldRule> rules, std::string_view name) {
  return std::ranges::any_of(rules, [&](const FieldRule& rule) { return rule.name == name; });
}

std::string shown(const nlohmann::json& value) {
  if (value.is_string())
    return fmt::format("'{}'", printable(value.get_ref<const std::string&>(), kShownValue));
  return printable(value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace),
                   kShownValue);
}

}  // namespace vitrail
