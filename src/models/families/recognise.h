// Whose checkpoint a file is, and in which of the family's spellings.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/families/config_form.h"
#include "models/families/family.h"

namespace vitrail {

// What a family looks at: the tensors' names and shapes, and config.json (null: there is none).
class FileEvidence {
 public:
  // `architecture`: what --set says of it; "": nothing.
  FileEvidence(const TensorSource& tensors, const nlohmann::json& config,
               std::string architecture = "")
      : tensors_(tensors),
        names_(tensors.names()),
        config_(config),
        form_(form_of(config)),
        architecture_(std::move(architecture)) {}

  const TensorSource& tensors() const { return tensors_; }
  const std::vector<std::string>& names() const { return names_; }
  const nlohmann::json& config() const { return config_; }
  bool has_form(const ConfigForm& form) const { return form_ == &form; }
  // --set's, or that of timm's config.json without its tag; "": nobody says one.
  std::string architecture() const;

  // What stands before a whole name `ending` ("", "module.", ...) in the first tensor that has it;
  // nothing when none does.
  std::optional<std::string> prefix_before(std::string_view ending) const;
  bool any_name_contains(std::string_view part) const;

 private:
  const TensorSource& tensors_;
  std::vector<std::string> names_;
  const nlohmann::json& config_;
  const ConfigForm* form_;
  std::string architecture_;
};

// A family's word that a file is its own.
struct Claim {
  std::string prefix;      // of the tensors' names
  std::string because;     // of what: a tensor, or a field of the configuration
  bool by_config = false;  // the configuration says it, which counts more than names alone
};

// The family that claims the file. Errors: none does; several do, each by name and why.
Spelling recognise(const TensorSource& tensors, const nlohmann::json& config,
                   const std::string& architecture = "");
// The same among these.
Spelling recognise(const TensorSource& tensors, const nlohmann::json& config,
                   std::span<const Family* const> candidates, const std::string& architecture = "");

}  // namespace vitrail
