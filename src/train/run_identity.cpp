#include "train/run_identity.h"

#include "core/error.h"
#include "core/rng.h"

namespace vitrail {
namespace {

using nlohmann::json;

// Sizes, classes and every picture's id and label.
json identity_of(const Dataset& set) {
  std::string text;
  for (const std::string& name : set.classes()) text += name + "\n";
  for (int64_t i = 0; i < set.size(); ++i) text += fmt::format("{} {}\n", set.id(i), set.label(i));
  return {{"pictures", set.size()},
          {"classes", set.num_classes()},
          {"fingerprint", fmt::format("{:016x}", hash_path(text))}};
}

}  // namespace

json identity_of(const TrainConfig& config, const RunData& data) {
  json settings = to_json(config);
  for (const char* elsewhere : {"data", "val", "accumulate"}) settings.erase(elsewhere);
  json identity{{"training pictures", identity_of(*data.train)}};
  if (data.judge) identity["validation pictures"] = identity_of(*data.judge);
  identity["configuration"] = fmt::format("{:016x}", hash_path(settings.dump()));
  return identity;
}

}  // namespace vitrail
