#include "formats/json_text.h"

#include <fmt/format.h>

#include "core/printable.h"
#include "core/utf8.h"

namespace vitrail {
namespace {

std::string mended(const std::string& text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t valid = valid_utf8_bytes(std::string_view(text).substr(at));
    out.append(text, at, valid);
    at += valid;
    if (at < text.size()) out += fmt::format("\\x{:02x}", static_cast<uint8_t>(text[at++]));
  }
  return out;
}

template <typename AnyJson>
AnyJson mended(const AnyJson& json) {
  if (json.is_string()) return mended(json.template get_ref<const std::string&>());
  if (json.is_array()) {
    AnyJson out = AnyJson::array();
    for (const auto& element : json) out.push_back(mended(element));
    return out;
  }
  if (!json.is_object()) return json;
  AnyJson out = AnyJson::object();
  for (const auto& [key, value] : json.items()) out[mended(key)] = mended(value);
  return out;
}

template <typename AnyJson>
std::string text_of(const AnyJson& json, int indent) {
  try {
    return json.dump(indent);
  } catch (const typename AnyJson::type_error&) {
    return mended(json).dump(indent);
  }
}

}  // namespace

std::string json_text(const nlohmann::json& json, int indent) {
  return text_of(json, indent);
}

std::string json_text(const nlohmann::ordered_json& json, int indent) {
  return text_of(json, indent);
}

bool is_utf8(std::string_view text) {
  return valid_utf8_bytes(text) == text.size();
}

std::string find_not_utf8(const nlohmann::json& json) {
  if (json.is_string()) {
    const auto& text = json.get_ref<const std::string&>();
    return is_utf8(text) ? "" : fmt::format(" is '{}'", printable(text));
  }
  if (!json.is_structured()) return "";
  for (const auto& [key, value] : json.items()) {
    if (!is_utf8(key)) return fmt::format("a field is '{}'", printable(key));
    const std::string found = find_not_utf8(value);
    if (!found.empty()) return key + (found.front() == ' ' ? "" : "/") + found;
  }
  return "";
}

}  // namespace vitrail
