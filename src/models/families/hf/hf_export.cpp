#include "core/advice.h"
#include "core/error.h"
#include "models/families/answer_rules.h"
#include "models/families/convert.h"
#include "models/families/hf/hf.h"
#include "models/families/reading/sides.h"

namespace vitrail {
namespace {

void store_hf_answer(const ClassAnswer& answer, nlohmann::json& out,
                     std::vector<std::string>& folds) {
  const bool single = answer.classes == 1;
  if (answer.meaning == Answer::raw) {
    out["problem_type"] = "regression";
  } else if (answer.multi_label) {
    out["problem_type"] = "multi_label_classification";
  } else if (answer.meaning == Answer::softmax) {
    check(!single, "convert",
          "transformers answers a single label by sigmoid, and this model's answer is softmax, "
          "which is always 1; say {} or raw",
          said_setting("answer", "sigmoid"));
  } else if (!single) {
    out[kAnswerKey] = answer_word(answer);
    folds.push_back(
        fmt::format("transformers' pipeline takes a softmax of logits that are asked about one by "
                    "one: give it function_to_apply=\"sigmoid\" ({} in config.json says it to "
                    "Vitrail)",
                    kAnswerKey));
  }
}

}  // namespace

nlohmann::json HfFamily::config_for(const NetworkConfig& network, const ConversionOptions& options,
                                    std::vector<std::string>& folds) const {
  const VitConfig& c = as_vit(network);
  const HfModel& model = written_model(c);
  nlohmann::json config = {
      {"hidden_size", c.embed_dim},
      {"num_hidden_layers", c.depth},
      {"num_attention_heads", c.block.attention.num_heads},
      {"hidden_act", c.block.mlp.kind == MlpKind::plain || !has_fixed_gate()
                         ? hf_activation_name(c.block.mlp.activation, name())
                         : "gelu"},
      {epsilon_key(), c.layer_norm_epsilon},
      {"image_size", sides_to_json(c.image_height, c.image_width)},
      {"patch_size", sides_to_json(c.patches.patch_height, c.patches.patch_width)},
      {"num_channels", c.in_channels}};
  add_fields(c, config);
  if (!model.tower.empty()) {
    config = {{std::string(model.tower), std::move(config)}};
    add_model_fields(c, config);
  }
  config["model_type"] = model.type;
  const std::string kind = written_class(c), whole = std::string(model.stem) + kind;
  if (kind.starts_with("ForImageClassification"))
    store_hf_classes(c.class_answer(), whole, options, config, folds);
  else
    config["architectures"] = {whole};
  return config;
}

void store_hf_classes(const ClassAnswer& answer, const std::string& classifier,
                      const ConversionOptions& options, nlohmann::json& config,
                      std::vector<std::string>& folds) {
  config["architectures"] = {classifier};
  for (int64_t i = 0; i < answer.classes; ++i) {
    const std::string index = std::to_string(i);
    const bool named = static_cast<size_t>(i) < options.labels.size();
    const std::string label = named ? options.labels[static_cast<size_t>(i)] : "LABEL_" + index;
    config["id2label"][index] = label;
    config["label2id"][label] = i;
  }
  store_hf_answer(answer, config, folds);
}

}  // namespace vitrail
