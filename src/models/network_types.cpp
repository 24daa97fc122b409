// The table of network types: a row for each, by the name that a configuration gives.
#include <array>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/nearest.h"
#include "core/printable.h"
#include "models/backbones/swin_config.h"
#include "models/network_config.h"
#include "models/vit_config.h"

namespace vitrail {
namespace {

// Of configurations that do not name their type: those of the plain Vision Transformer never did.
constexpr const char* kTypeKey = "network";

struct NetworkType {
  std::string_view name;
  NetworkConfig (*from_json)(const nlohmann::json& fields);
};

constexpr std::array kTypes{
    NetworkType{
        VisionTransformerConfig::kType,
        [](const nlohmann::json& fields) -> NetworkConfig { return vit_config_from_json(fields); }},
    NetworkType{SwinConfig::kType,
                [](const nlohmann::json& fields) -> NetworkConfig {
                  return swin_config_from_json(fields);
                }},
};

const NetworkType& type_named(const std::string& name) {
  std::vector<std::string> known;
  for (const NetworkType& type : kTypes) {
    if (type.name == name) return type;
    known.emplace_back(type.name);
  }
  fail("model config", "there is no network '{}'{}", printable(name),
       did_you_mean_or_all(name, known));
}

}  // namespace

nlohmann::json to_json(const NetworkConfig& config) {
  nlohmann::json out = nlohmann::json::object();
  write_fields(config, out);
  if (config.type() != kTypes.front().name) out[kTypeKey] = config.type();
  return out;
}

NetworkConfig network_config_from_json(const nlohmann::json& json) {
  check(json.is_object(), "model config", "must be a JSON object");
  const auto named = json.find(kTypeKey);
  if (named == json.end()) return kTypes.front().from_json(json);
  check(named->is_string(), "model config", "\"{}\" is not a word", kTypeKey);
  nlohmann::json fields = json;
  fields.erase(kTypeKey);
  return type_named(named->get<std::string>()).from_json(fields);
}

}  // namespace vitrail
