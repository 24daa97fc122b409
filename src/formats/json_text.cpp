#include "formats/json_text.h"

#include <fmt/format.h>

#include "core/printable.h"

namespace vitrail {
namespace {

// Length of the character at `at`, by RFC 3629: no overlong forms, no surrogates, no more than
// U+10FFFF. 0: it is none.
size_t character_bytes(const std::string& text, size_t at) {
  const auto byte = [&](size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const auto continues = [&](size_t i) { return (byte(i) & 0xC0u) == 0x80u; };
  const unsigned first = byte(at), second = byte(at + 1);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return continues(at + 1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const bool fits = !(first == 0xE0 && second < 0xA0) && !(first == 0xED && second > 0x9F);
    return fits && continues(at + 1) && continues(at + 2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const bool fits = !(first == 0xF0 && second < 0x90) && !(first == 0xF4 && second > 0x8F);
    return fits && continues(at + 1) && continues(at + 2) && continues(at + 3) ? 4 : 0;
  }
  return 0;
}

std::string mended(const std::string& text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t bytes = character_bytes(text, at);
    if (bytes > 0)
      out.append(text, at, bytes);
    else
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[at]));
    at += std::max<size_t>(1, bytes);
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

bool is_utf8(const std::string& text) {
  for (size_t at = 0; at < text.size();) {
    const size_t bytes = character_bytes(text, at);
    if (bytes == 0) return false;
    at += bytes;
  }
  return true;
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
