// Reading fields of JSON that a stranger wrote: a wrong type or value is an Error naming the field.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/printable.h"

namespace vitrail {

// An object under a name that messages show; null counts as missing, as in Python's configs.
class ConfigFields {
 public:
  ConfigFields(const nlohmann::json& object, std::string name)
      : object_(object), name_(std::move(name)) {
    if (!object.is_object())
      fail("preprocess", "{} is {}, expected an object", name_, shown(object));
  }

  const nlohmann::json* find(const char* key) const {
    const auto found = object_.find(key);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }
  bool has(const char* key) const { return find(key) != nullptr; }
  const nlohmann::json& at(const char* key) const {
    const auto* value = find(key);
    if (value == nullptr) fail("preprocess", "{} is missing", path(key));
    return *value;
  }
  ConfigFields object(const char* key) const { return {at(key), path(key)}; }

  bool boolean(const char* key) const {
    return at_type(key, &nlohmann::json::is_boolean, "true or false").get<bool>();
  }
  bool boolean(const char* key, bool otherwise) const {
    return has(key) ? boolean(key) : otherwise;
  }
  // On one line, and short enough to be shown in a message.
  std::string text(const char* key) const {
    constexpr size_t kLongest = 1000;
    const auto& value = at_type(key, &nlohmann::json::is_string, "a text");
    const auto& read = value.get_ref<const std::string&>();
    const bool plain = std::all_of(read.begin(), read.end(),
                                   [](char c) { return static_cast<unsigned char>(c) >= 0x20; });
    if (!plain || read.size() > kLongest)
      fail("preprocess", "{} is {}, expected a text on one line", path(key), shown(value));
    return read;
  }
  std::string text(const char* key, const std::string& otherwise) const {
    return has(key) ? text(key) : otherwise;
  }
  double number(const char* key) const { return as_number(at(key), path(key)); }
  double number(const char* key, double otherwise) const {
    return has(key) ? number(key) : otherwise;
  }
  int integer(const char* key, int low, int high) const {
    return as_integer(at(key), path(key), low, high);
  }

  std::vector<double> numbers(const char* key) const {
    std::vector<double> values;
    for (const auto& value : at_type(key, &nlohmann::json::is_array, "a list of numbers"))
      values.push_back(as_number(value, path(key)));
    return values;
  }
  std::vector<int> integers(const char* key, int low, int high) const {
    std::vector<int> values;
    for (const auto& value : at_type(key, &nlohmann::json::is_array, "a list of whole numbers"))
      values.push_back(as_integer(value, path(key), low, high));
    return values;
  }
  // Error: a key that is not in `known`.
  void refuse_others(std::initializer_list<const char*> known) const {
    for (const auto& [key, value] : object_.items()) {
      bool found = false;
      for (const char* name : known) found = found || key == name;
      if (!found) fail("preprocess", "{} is not a known field", path(printable(key)));
    }
  }

  std::string path(const std::string& key) const { return name_ + "." + key; }

  // A value as it stands, shortened for a message.
  static std::string shown(const nlohmann::json& value) {
    constexpr size_t kLongest = 40;
    if (value.is_structured()) return value.is_array() ? "a list" : "an object";
    const std::string text = value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
    return text.size() <= kLongest ? text : text.substr(0, kLongest) + "...";
  }
  static int as_integer(const nlohmann::json& value, const std::string& path, int low, int high) {
    // 224.0 is whole, too: some exporters write it so.
    const double number = value.is_number() ? value.get<double>() : NAN;
    if (!(number >= low && number <= high) || number != std::floor(number))
      fail("preprocess", "{} is {}, expected a whole number from {} to {}", path, shown(value), low,
           high);
    return static_cast<int>(number);
  }

 private:
  const nlohmann::json& at_type(const char* key, bool (nlohmann::json::*is)() const noexcept,
                                const char* expected) const {
    const auto& value = at(key);
    if (!(value.*is)())
      fail("preprocess", "{} is {}, expected {}", path(key), shown(value), expected);
    return value;
  }
  static double as_number(const nlohmann::json& value, const std::string& path) {
    if (!value.is_number() || !std::isfinite(value.get<double>()))
      fail("preprocess", "{} is {}, expected a number", path, shown(value));
    return value.get<double>();
  }

  const nlohmann::json& object_;
  std::string name_;
};

}  // namespace vitrail
