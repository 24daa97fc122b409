#include "models/network_types.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "core/error.h"
#include "core/nearest.h"
#include "core/printable.h"
#include "models/backbones/cait.h"
#include "models/backbones/cvt.h"
#include "models/backbones/efficientformer_config.h"
#include "models/backbones/hiera_config.h"
#include "models/backbones/levit.h"
#include "models/backbones/mobilevit_config.h"
#include "models/backbones/pvt.h"
#include "models/backbones/pvt_v2.h"
#include "models/backbones/swin_config.h"
#include "models/backbones/tiny_vit_config.h"
#include "models/backbones/vitdet_config.h"
#include "models/backbones/xcit.h"
#include "models/network_config.h"
#include "models/vit_config.h"

namespace vitrail {
namespace {

// Of configurations that do not name their type: those of the plain Vision Transformer never did.
constexpr const char* kTypeKey = "network";

struct NetworkType {
  std::string_view name;
  NetworkConfig (*from_json)(const nlohmann::json& fields);
  NetworkConfig (*defaults)();
};

// Of the type whose configuration `from_json` reads.
template <auto from_json>
constexpr NetworkType row() {
  using Config = std::invoke_result_t<decltype(from_json), const nlohmann::json&>;
  return {Config::kType,
          [](const nlohmann::json& fields) -> NetworkConfig { return from_json(fields); },
          []() -> NetworkConfig { return Config(); }};
}

// A row for each type.
// clang-format off
constexpr std::array kTypes{
    row<vit_config_from_json>(),
    row<cait_config_from_json>(),
    row<cvt_config_from_json>(),
    row<efficientformer_config_from_json>(),
    row<hiera_config_from_json>(),
    row<levit_config_from_json>(),
    row<mobilevit_config_from_json>(),
    row<pvt_config_from_json>(),
    row<pvt_v2_config_from_json>(),
    row<swin_config_from_json>(),
    row<tiny_vit_config_from_json>(),
    row<vitdet_config_from_json>(),
    row<xcit_config_from_json>(),
};
// clang-format on

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

std::vector<NetworkConfig> default_networks() {
  std::vector<NetworkConfig> defaults;
  for (const NetworkType& type : kTypes) defaults.push_back(type.defaults());
  return defaults;
}

std::vector<std::string> network_field_names() {
  std::vector<std::string> names;
  for (const NetworkConfig& config : default_networks()) {
    const nlohmann::json fields = to_json(config);
    for (const auto& item : fields.items())
      if (item.key() != kTypeKey && std::ranges::find(names, item.key()) == names.end())
        names.push_back(item.key());
  }
  return names;
}

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
