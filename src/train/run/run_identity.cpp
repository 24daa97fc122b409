#include "train/run/run_identity.h"

#include <fmt/ranges.h>

#include "core/error.h"
#include "core/rng.h"
#include "formats/json.h"

namespace vitrail {
namespace {

// The fields of `object`, and of the objects in it, that differ from those of `usual`.
Json unusual(const Json& object, const Json& usual) {
  Json fields = Json::object();
  for (const auto& item : object.items()) {
    const Json& other = usual.value(item.key(), Json());
    if (item.value() == other) continue;
    fields[item.key()] =
        item.value().is_object() && other.is_object() ? unusual(item.value(), other) : item.value();
  }
  return fields;
}

}  // namespace

Json identity_of(const Dataset& set) {
  std::string text;
  for (const std::string& name : set.classes()) text += name + "\n";
  for (int64_t i = 0; i < set.size(); ++i)
    text += fmt::format("{} {}\n", set.id(i), fmt::join(set.labels(i), ","));
  return {{"pictures", set.size()},
          {"classes", set.num_classes()},
          {"fingerprint", fmt::format("{:016x}", hash_path(text))}};
}

Json identity_of(const TrainConfig& config, const RunData& data) {
  // Without defaults: checkpoints outlive the arrival of a field.
  static const TrainConfig kUsual;
  Json settings = unusual(to_json(config), to_json(kUsual));
  for (const char* elsewhere : {"data", "val", "accumulate"}) settings.erase(elsewhere);
  Json identity{{"training pictures", identity_of(*data.train)}};
  if (data.judge) identity["validation pictures"] = identity_of(*data.judge);
  identity["configuration"] = settings;
  return identity;
}

}  // namespace vitrail
