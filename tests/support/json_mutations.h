// A configuration with each of its values, one at a time, replaced by what it cannot be. A reader
// takes such a thing or refuses it with an Error; the JSON library's own exceptions are neither.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include <exception>
#include <string>

#include "core/error.h"

namespace vitrail::testing {

// `read` is told the changed configuration. Anything that it throws but Error is a failure.
template <typename Read>
void expect_errors_only(const nlohmann::json& config, Read read) {
  using nlohmann::json;
  const json strange[] = {nullptr,
                          true,
                          0,
                          -1,
                          1e300,
                          0.5,
                          int64_t{9223372036854775807},
                          uint64_t{18446744073709551615u},
                          "",
                          "x",
                          json::array(),
                          json::array({1}),
                          json::array({nullptr, "x", json::array()}),
                          json::object(),
                          json{{"a", 1}},
                          json{{"0", nullptr}}};
  const auto attempt = [&](const json& changed, const std::string& where, const json& value) {
    try {
      read(changed);
    } catch (const Error&) {  // what a stranger's configuration deserves
    } catch (const std::exception& error) {
      ADD_FAILURE() << where << " = " << value.dump() << ": " << error.what();
    }
  };
  for (const json& value : strange) attempt(value, "all of it", value);
  const json values = config.flatten();
  for (const auto& item : values.items()) {
    // The value, and every object and list that it stands in.
    for (json::json_pointer at(item.key()); !at.empty(); at = at.parent_pointer())
      for (const json& value : strange) {
        json changed = config;
        changed[at] = value;
        attempt(changed, at.to_string(), value);
      }
  }
}

}  // namespace vitrail::testing
