#include "models/families/hf/hf_network.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "formats/json.h"
#include "models/families/recognise.h"
#include "models/families/registry.h"

namespace vitrail {

const ConfigForm& HfNetwork::config_form() const {
  return transformers_form();
}

std::optional<Claim> HfNetwork::recognise(const FileEvidence& file) const {
  auto claim = NetworkFamily::recognise(file);
  if (!claim || !file.has_form(transformers_form())) return claim;
  const auto said = file.config().find("model_type");
  if (said == file.config().end() || !said->is_string()) return std::nullopt;
  const auto type = said->get<std::string>();
  if (std::ranges::find(hf_models(), type, &HfModel::type) == hf_models().end())
    return std::nullopt;
  return Claim{claim->prefix, "config.json's model_type " + type, true};
}

NetworkDraft HfNetwork::begin(const FileReading& file) const {
  if (!file.has_config())
    fail("family", "{}: {} is described by its config.json, which does not stand beside it",
         file.tensors.place(), models());
  const nlohmann::json& config = file.files.config;
  const std::string& place = file.files.config_name;
  const std::array<std::span<const FieldRule>, 1> fields = {config_fields()};
  check_hf_config(config, place, hf_model_of(config, hf_models()), fields);
  NetworkDraft draft(from_config(config, place));
  draft.sources.push_back({"model", "", place});
  return draft;
}

void HfNetwork::settle(NetworkDraft& draft, const FileReading& file) const {
  const nlohmann::json& config = file.files.config;
  const std::string& place = file.files.config_name;
  if (draft.class_answer().classes > 0)
    agree_with_tensors(config, "num_labels", draft.class_answer().classes, place);
  settle_hf_answer(draft, single_label_rule(), config, place);
  if (!file.files.preprocessor.is_null())
    draft.add_preprocess(PreprocessKind::hf, file.files.preprocessor, preprocess_file());
}

std::string HfNetwork::classifier_class(const NetworkConfig&) const {
  return std::string(hf_models().front().stem) + "ForImageClassification";
}

std::string HfNetwork::base_class(const NetworkConfig&) const {
  return std::string(hf_models().front().stem) + "Model";
}

nlohmann::json HfNetwork::config_for(const NetworkConfig& config, const ConversionOptions& options,
                                     std::vector<std::string>& folds) const {
  nlohmann::json out = to_config(config);
  out["model_type"] = hf_models().front().type;
  const ClassAnswer answer = config.class_answer();
  if (answer.classes == 0)
    out["architectures"] = {base_class(config)};
  else
    store_hf_classes(answer, classifier_class(config), options, out, folds);
  return out;
}

}  // namespace vitrail
