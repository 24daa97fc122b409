// JSON as text, for every place that writes some. A name of a file or a class need not be UTF-8,
// and JSON cannot hold what is not: nlohmann's dump() throws then, in the middle of whatever was
// done.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace vitrail {

// Never throws for what a text holds: a byte that is not UTF-8 stands as \xe9, four characters, as
// core/printable.h shows it, so that two names stay two. On one line; or indented by `indent`.
std::string json_text(const nlohmann::json& json, int indent = -1);
std::string json_text(const nlohmann::ordered_json& json, int indent = -1);

bool is_utf8(std::string_view text);
// Where the first text that is not UTF-8 stands ("labels/3 is 'caf\xe9'"); empty: nowhere.
std::string find_not_utf8(const nlohmann::json& json);

}  // namespace vitrail
