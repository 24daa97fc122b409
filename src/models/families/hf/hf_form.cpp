// transformers' config.json: a model_type; and the configuration in its modules saved whole.
#include <algorithm>

#include "core/error.h"
#include "models/families/hf/hf_missing.h"
#include "models/families/hf/hf_models.h"
#include "models/families/reading/module_json.h"
#include "models/families/registry.h"

namespace vitrail {
namespace {

// "vit, deit and dinov2"
std::string known_types() {
  const std::vector<HfModel> models = known_hf_models();
  std::string list;
  for (size_t i = 0; i < models.size(); ++i)
    list += (i == 0 ? "" : i + 1 < models.size() ? ", " : " and ") + std::string(models[i].type);
  return "of transformers' models " + list + " are known";
}

class TransformersForm : public ConfigForm {
 public:
  bool matches(const nlohmann::json& config) const override {
    return config.contains("model_type") || config.contains("architectures") ||
           config.contains("transformers_version");
  }
  const char* whose() const override { return "is transformers'"; }

  void check_model(const nlohmann::json& config, const Settings&) const override {
    const auto type = config.find("model_type");
    if (type == config.end())
      fail("family", "config.json: has {} of transformers and no model_type; {}",
           config.contains("architectures") ? "architectures" : "fields", known_types());
    const std::vector<HfModel> models = known_hf_models();
    if (!type->is_string() ||
        std::ranges::find(models, type->get<std::string>(), &HfModel::type) == models.end()) {
      const char* missing = type->is_string() ? missing_of_hf(type->get<std::string>()) : nullptr;
      if (missing != nullptr)
        fail(ErrorCode::unsupported, "family",
             "config.json: says model_type {}, a model with {}, which Vitrail does not implement",
             shown(*type), missing);
      fail("family", "config.json: says model_type {}; {}", shown(*type), known_types());
    }
  }

  nlohmann::json config_of_module(const TensorSource& tensors) const override {
    if (!tensors.module_class().starts_with("transformers.")) return nullptr;
    const Json config = module_fields(parsed_module(tensors)).value("config", Json());
    const std::string kind = last_part(module_class(config));
    for (const HfModel& model : known_hf_models())
      if (kind == std::string(model.stem) + "Config") {
        Json fields = module_fields(config);
        fields["model_type"] = model.type;
        return fields;
      }
    return nullptr;
  }
};

}  // namespace

std::vector<const TransformersModels*> transformers_models() {
  std::vector<const TransformersModels*> all;
  for (const Family* family : families())
    if (const auto* hf = dynamic_cast<const TransformersModels*>(family)) all.push_back(hf);
  return all;
}

std::vector<HfModel> known_hf_models() {
  std::vector<HfModel> models;
  for (const TransformersModels* family : transformers_models())
    models.insert(models.end(), family->hf_models().begin(), family->hf_models().end());
  return models;
}

const ConfigForm& transformers_form() {
  static const TransformersForm form;
  return form;
}

}  // namespace vitrail
