#include "models/families/recognise.h"

#include <algorithm>

#include "core/error.h"
#include "core/printable.h"
#include "models/families/foreign_names.h"
#include "models/families/reading/fields.h"
#include "models/families/registry.h"
#include "models/families/timm/timm_form.h"

namespace vitrail {
namespace {

constexpr size_t kShownName = 60;

struct FamilyClaim {
  const Family* family;
  Claim claim;
};

// What the configuration says of itself, for the message about names.
std::string said_by(const nlohmann::json& config) {
  if (!config.is_object()) return "";
  for (const char* key : {"architecture", "model_type", "architectures"})
    if (const auto found = config.find(key); found != config.end())
      return fmt::format("; config.json says {} {}", key, shown(*found));
  return "";
}

[[noreturn]] void refuse_unknown(const FileEvidence& file) {
  if (const char* model = foreign_model(file.tensors()))
    fail(ErrorCode::unsupported, "family",
         "{}: the names are those of {}, which Vitrail does not implement", file.tensors().place(),
         model);
  const std::vector<std::string>& names = file.names();
  std::string first;
  for (size_t i = 0; i < std::min<size_t>(3, names.size()); ++i)
    first += (i > 0 ? ", " : "") + printable(names[i], kShownName);
  fail(ErrorCode::unsupported, "family", "{}: the names ({}{}) are of no known family: {}{}",
       file.tensors().place(), first, names.size() > 3 ? ", ..." : "", known_models(),
       said_by(file.config()));
}

[[noreturn]] void refuse_several(const FileEvidence& file, const std::vector<FamilyClaim>& claims) {
  std::string list, why;
  for (const auto& [family, claim] : claims) {
    list += (list.empty() ? "" : " and ") + std::string(family->name());
    why += (why.empty() ? "" : ", ") + printable(claim.because, kShownName);
  }
  fail("family",
       "{}: {} each claim this file, which has {}; a file holds the tensors of one model alone",
       file.tensors().place(), list, why);
}

// What the configuration says comes before names, and of names those that say more.
void keep_strongest(std::vector<FamilyClaim>& claims) {
  const bool said =
      std::ranges::any_of(claims, [](const FamilyClaim& c) { return c.claim.by_config; });
  if (said) std::erase_if(claims, [](const FamilyClaim& c) { return !c.claim.by_config; });
  const std::vector<FamilyClaim> all = claims;
  std::erase_if(claims, [&](const FamilyClaim& general) {
    return std::ranges::any_of(
        all, [&](const FamilyClaim& c) { return c.family->refines() == general.family; });
  });
}

}  // namespace

std::optional<std::string> FileEvidence::prefix_before(std::string_view ending) const {
  for (const std::string& name : names_)
    if (name.ends_with(ending) &&
        (name.size() == ending.size() || name[name.size() - ending.size() - 1] == '.'))
      return name.substr(0, name.size() - ending.size());
  return std::nullopt;
}

std::string FileEvidence::architecture() const {
  if (!architecture_.empty()) return architecture_;
  return has_form(timm_form()) ? timm_architecture_of(config_) : "";
}

bool FileEvidence::any_name_contains(std::string_view part) const {
  return std::ranges::any_of(
      names_, [&](const std::string& name) { return name.find(part) != std::string::npos; });
}

Spelling recognise(const TensorSource& tensors, const nlohmann::json& config,
                   std::span<const Family* const> candidates, const std::string& architecture) {
  const FileEvidence file(tensors, config, architecture);
  std::vector<FamilyClaim> claims;
  for (const Family* family : candidates)
    if (auto claim = family->recognise(file)) claims.push_back({family, std::move(*claim)});
  keep_strongest(claims);
  if (claims.empty()) refuse_unknown(file);
  if (claims.size() > 1) refuse_several(file, claims);
  Spelling spelling{.family = claims.front().family, .prefix = claims.front().claim.prefix};
  spelling.family->read_spelling(file, spelling);
  return spelling;
}

Spelling recognise(const TensorSource& tensors, const nlohmann::json& config,
                   const std::string& architecture) {
  return recognise(tensors, config, families(), architecture);
}

}  // namespace vitrail
