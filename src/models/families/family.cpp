#include "models/families/family.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/nearest.h"
#include "core/printable.h"
#include "models/families/own_config.h"
#include "models/families/registry.h"

namespace vitrail {

bool Family::suits(const NetworkConfig&) const {
  return false;
}

PublishedModel Family::published_model(std::string_view name) const {
  fail("family", "{} has no published model '{}'", this->name(), printable(name));
}

void Family::read_spelling(const FileEvidence&, Spelling&) const {}

std::string Family::numbered(const Spelling&, std::string_view canonical) const {
  return std::string(canonical);
}

bool Family::is_left_out(std::string_view) const {
  return false;
}

bool Family::is_training_part(const Spelling&, std::string_view) const {
  return false;
}

Spelling Family::spelling_for(const NetworkConfig&) const {
  return {};
}

nlohmann::json Family::config_for(const NetworkConfig& config, const ConversionOptions& options,
                                  std::vector<std::string>&) const {
  return own_config(config, options);
}

const char* name_of(const Family* family) {
  return family->name();
}

const Family* family_from_name(const std::string& name) {
  std::vector<std::string> known;
  for (const Family* family : families()) {
    if (name == family->name()) return family;
    known.emplace_back(family->name());
  }
  fail("family", "'{}' is not a family of checkpoints{}", name, did_you_mean_or_all(name, known));
}

}  // namespace vitrail
