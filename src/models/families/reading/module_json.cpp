#include "models/families/reading/module_json.h"

namespace vitrail {

Json parsed_module(const TensorSource& tensors) {
  const std::string& text = tensors.module_fields();
  return text.empty() ? Json() : parse_json(text, tensors.place());
}

std::string last_part(const std::string& dotted) {
  return dotted.substr(dotted.rfind('.') + 1);
}

Json module_fields(const Json& object) {
  return object.is_object() ? object.value("fields", Json::object()) : Json::object();
}

std::string module_class(const Json& object) {
  return object.is_object() ? object.value("class", std::string()) : std::string();
}

}  // namespace vitrail
