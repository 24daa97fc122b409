// What every family of transformers says of itself, whatever network its models are.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/families/convert.h"
#include "models/families/reading/draft.h"
#include "models/families/reading/fields.h"

namespace vitrail {

// A model of transformers: the `model_type` in its config.json, and what the names of its classes
// begin with ("ViT" of ViTConfig and ViTModel). The rest is of plain Vision Transformers (hf.h):
// what their configuration means by a field that is not there, and where their parts stand.
struct HfModel {
  std::string_view type;
  std::string_view stem;
  double epsilon = 1e-12;
  int64_t heads = 12;
  int64_t image = 224;
  std::string_view activation = "gelu";
  // Of the encoder's tensors where a head stands beside it; "": the type and a dot.
  std::string_view prefix = "";
  // The field in which a model of several towers keeps that of the pictures; "": it has one alone.
  std::string_view tower = "";
};

class TransformersModels {
 public:
  virtual ~TransformersModels() = default;
  virtual std::span<const HfModel> hf_models() const = 0;
  // What `architectures` of config.json may name: classes whose files Vitrail answers for.
  virtual std::span<const std::string_view> architectures() const = 0;
};

// The registry's families of transformers.
std::vector<const TransformersModels*> transformers_models();
// All their models.
std::vector<HfModel> known_hf_models();

// Of `models`, the one that config.json names; the first where it names none.
const HfModel& hf_model_of(const nlohmann::json& config, std::span<const HfModel> models);

// Error: a field of config.json that neither transformers' PretrainedConfig nor one of the lists
// has; a class in `architectures` that no family knows.
void check_hf_config(const nlohmann::json& config, const std::string& place, const HfModel& model,
                     std::span<const std::span<const FieldRule>> own_fields);
// transformers' PretrainedConfig.
std::span<const FieldRule> pretrained_config_fields();

// What the numbers of the head mean, by transformers' rules.
void settle_hf_answer(ReadingDraft& draft, const char* single_label_rule,
                      const nlohmann::json& config, const std::string& place);
// `architectures`, the classes' names and their answer, of a model with a head: for config.json.
void store_hf_classes(const ClassAnswer& answer, const std::string& classifier,
                      const ConversionOptions& options, nlohmann::json& config,
                      std::vector<std::string>& folds);

// transformers' name of an activation, and what one means. Error: there is none.
const char* hf_activation_name(Activation activation, const char* family);
Activation hf_activation(const std::string& name, const std::string& place);

// What a field says of the tensors must be true; one that is absent leaves it to them. Error.
void agree_with_tensors(const nlohmann::json& config, const char* key, int64_t there,
                        const std::string& place);
void agree_with_tensors(const nlohmann::json& config, const char* key, bool there,
                        const std::string& place);

}  // namespace vitrail
