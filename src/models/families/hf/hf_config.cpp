#include <algorithm>
#include <array>

#include "core/error.h"
#include "formats/json.h"
#include "models/families/answer_rules.h"
#include "models/families/hf/hf.h"
#include "models/families/reading/sides.h"
#include "models/families/writing/activation_name.h"

namespace vitrail {
namespace {

using C = VitConfig;

// transformers' PretrainedConfig, of today and of versions 4: every field of it that a file may
// hold. What generates texts has no part in a classifier, and is not looked at.
constexpr FieldRule kPretrainedConfig[] = {
    {"model_type"},
    {"architectures"},
    {"id2label"},
    {"label2id"},
    {"num_labels"},
    {"problem_type"},
    {kAnswerKey},
    {"transformers_version", FieldRule::kIdle},
    {"_name_or_path", FieldRule::kIdle},
    {"name_or_path", FieldRule::kIdle},
    {"_commit_hash", FieldRule::kIdle},
    {"dtype", FieldRule::kIdle},
    {"torch_dtype", FieldRule::kIdle},
    {"return_dict", FieldRule::kFlag},
    {"use_return_dict", FieldRule::kFlag},
    {"output_hidden_states", FieldRule::kFlag},
    {"output_attentions", FieldRule::kFlag},
    {"chunk_size_feed_forward", FieldRule::kNumber},
    {"gradient_checkpointing", FieldRule::kFlag},
    {"torchscript", FieldRule::kFlag},
    {"use_bfloat16", FieldRule::kFlag},
    {"tf_legacy_loss", FieldRule::kFlag},
    {"tie_word_embeddings", FieldRule::kFlag},
    {"finetuning_task", FieldRule::kIdle},
    {"_attn_implementation", FieldRule::kOnly,
     R"(["eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention"])"},
    {"attn_implementation", FieldRule::kOnly,
     R"(["eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention"])"},
    {"_attn_implementation_autoset", FieldRule::kFlag},
    {"_experts_implementation", FieldRule::kOnly, "[]"},
    {"experts_implementation", FieldRule::kOnly, "[]"},
    {"per_layer_config", FieldRule::kOnly, "[]"},
    {"is_encoder_decoder", FieldRule::kOnly, "[false]"},
    {"is_decoder", FieldRule::kOnly, "[false]"},
    {"add_cross_attention", FieldRule::kOnly, "[false]"},
    {"tie_encoder_decoder", FieldRule::kOnly, "[false]"},
    {"cross_attention_hidden_size", FieldRule::kOnly, "[]"},
    {"pruned_heads", FieldRule::kOnly, "[{}]"},
    {"quantization_config", FieldRule::kOnly, "[]"},
    {"auto_map", FieldRule::kOnly, "[{}]"},
    {"max_length", FieldRule::kIdle},
    {"min_length", FieldRule::kIdle},
    {"do_sample", FieldRule::kIdle},
    {"early_stopping", FieldRule::kIdle},
    {"num_beams", FieldRule::kIdle},
    {"num_beam_groups", FieldRule::kIdle},
    {"diversity_penalty", FieldRule::kIdle},
    {"temperature", FieldRule::kIdle},
    {"top_k", FieldRule::kIdle},
    {"top_p", FieldRule::kIdle},
    {"typical_p", FieldRule::kIdle},
    {"repetition_penalty", FieldRule::kIdle},
    {"length_penalty", FieldRule::kIdle},
    {"no_repeat_ngram_size", FieldRule::kIdle},
    {"encoder_no_repeat_ngram_size", FieldRule::kIdle},
    {"bad_words_ids", FieldRule::kIdle},
    {"num_return_sequences", FieldRule::kIdle},
    {"output_scores", FieldRule::kIdle},
    {"return_dict_in_generate", FieldRule::kIdle},
    {"forced_bos_token_id", FieldRule::kIdle},
    {"forced_eos_token_id", FieldRule::kIdle},
    {"remove_invalid_values", FieldRule::kIdle},
    {"exponential_decay_length_penalty", FieldRule::kIdle},
    {"suppress_tokens", FieldRule::kIdle},
    {"begin_suppress_tokens", FieldRule::kIdle},
    {"tokenizer_class", FieldRule::kIdle},
    {"prefix", FieldRule::kIdle},
    {"bos_token_id", FieldRule::kIdle},
    {"pad_token_id", FieldRule::kIdle},
    {"eos_token_id", FieldRule::kIdle},
    {"sep_token_id", FieldRule::kIdle},
    {"decoder_start_token_id", FieldRule::kIdle},
    {"task_specific_params", FieldRule::kIdle},
};

constexpr FieldRule kEncoder[] = {
    {"hidden_size"},
    {"num_hidden_layers"},
    {"num_attention_heads"},
    {"hidden_act"},
    {"layer_norm_eps"},
    {"image_size"},
    {"patch_size"},
    {"num_channels"},
    {"qkv_bias"},
    {"head_dim"},
    {"hidden_dropout_prob", FieldRule::kNumber},
    {"attention_probs_dropout_prob", FieldRule::kNumber},
    {"initializer_range", FieldRule::kNumber},
};

// The first of several names is the one that is written.
constexpr std::array<std::pair<const char*, Activation>, 13> kHfActivations = {
    {{"gelu", Activation::gelu},
     {"gelu_python", Activation::gelu},
     {"gelu_pytorch_tanh", Activation::gelu_tanh},
     {"gelu_new", Activation::gelu_tanh},
     {"gelu_fast", Activation::gelu_tanh},
     {"gelu_accurate", Activation::gelu_tanh},
     {"gelu_python_tanh", Activation::gelu_tanh},
     {"quick_gelu", Activation::quick_gelu},
     {"relu", Activation::relu},
     {"silu", Activation::silu},
     {"swish", Activation::silu},
     {"tanh", Activation::tanh},
     {"linear", Activation::none}}};

std::pair<int64_t, int64_t> hf_sides(const Json& config, const char* key, int64_t otherwise,
                                     const std::string& place) {
  const auto found = config.find(key);
  if (found == config.end() || found->is_null()) return {otherwise, otherwise};
  return sides_from_json(config, key, place, "transformers");
}

void refuse_disagreement(const char* key, const std::string& value, const std::string& there,
                         const std::string& place) {
  fail("transformers", "{}: {} is {}, but the tensors have {}", place, key, value, there);
}

// The configuration of the pictures' encoder, and what messages call it.
struct EncoderConfig {
  Json fields;
  std::string place;
};

EncoderConfig encoder_of(const Json& config, const HfModel& model, const std::string& place) {
  if (model.tower.empty()) return {config, place};
  const std::string key(model.tower);
  EncoderConfig encoder{Json::object(), fmt::format("{}'s {}", place, key)};
  const auto found = config.find(key);
  if (found == config.end() || found->is_null()) return encoder;
  if (!found->is_object()) fail("transformers", "{}: is not an object", encoder.place);
  encoder.fields = *found;
  return encoder;
}

void check_known(const HfFamily& family, const Json& config, const HfModel& model,
                 const EncoderConfig& encoder, const std::string& place) {
  const std::vector<std::span<const FieldRule>> own = family.config_fields(model);
  if (model.tower.empty()) return check_hf_config(config, place, model, own);
  std::vector<std::span<const FieldRule>> rules = {kPretrainedConfig};
  rules.insert(rules.end(), own.begin(), own.end());
  check_fields(encoder.fields,
               {encoder.place, fmt::format("transformers' {}VisionConfig", model.stem), rules});
  const std::array outer = {family.model_fields(model)};
  check_hf_config(config, place, model, outer);
}

// A matrix that embeds patches does not show what their pixels are.
void settle_matrix_patches(ConfigDraft& draft, const Json& fields, const std::string& place) {
  constexpr int64_t kChannels = 3, kPatch = 16;  // transformers' defaults
  const C& c = draft.config;
  const auto [height, width] = hf_sides(fields, "patch_size", kPatch, place);
  draft.settle("in_channels", draft.config.in_channels,
               get_optional<int64_t>(fields, "num_channels", place).value_or(kChannels), place);
  draft.settle("patch_height", draft.config.patches.patch_height, height, place);
  draft.settle("patch_width", draft.config.patches.patch_width, width, place);
  if (c.patches.patch_height * c.patches.patch_width * c.in_channels != draft.patch_columns)
    fail("transformers",
         "{}: patches of {}x{} pixels in {} channels are not the {} columns of the "
         "patch embedding",
         place, c.patches.patch_height, c.patches.patch_width, c.in_channels, draft.patch_columns);
}

// Of what the tensors show, the config must say the same.
void check_shapes(ConfigDraft& draft, const HfFamily& family, const EncoderConfig& encoder) {
  const C& c = draft.config;
  const auto& [fields, place] = encoder;
  if (draft.patch_columns > 0) settle_matrix_patches(draft, fields, place);
  agree_with_tensors(fields, "hidden_size", c.embed_dim, place);
  agree_with_tensors(fields, "num_hidden_layers", c.depth, place);
  agree_with_tensors(fields, "num_channels", c.in_channels, place);
  if (hf_sides(fields, "patch_size", c.patches.patch_height, place) !=
      std::pair{c.patches.patch_height, c.patches.patch_width})
    fail("transformers", "{}: patch_size is not the {}x{} of the patch embedding", place,
         c.patches.patch_height, c.patches.patch_width);
  family.check_config(draft, fields, place);
}

}  // namespace

std::span<const FieldRule> pretrained_config_fields() {
  return kPretrainedConfig;
}

const char* hf_activation_name(Activation activation, const char* family) {
  return activation_name(kHfActivations, activation, family);
}

Activation hf_activation(const std::string& name, const std::string& place) {
  for (const auto& [text, value] : kHfActivations)
    if (name == text) return value;
  fail("transformers",
       "{}: hidden_act {} is not supported; gelu, gelu_pytorch_tanh, quick_gelu, relu, silu, tanh "
       "and linear are",
       place, shown(name));
}

const HfModel& hf_model_of(const Json& config, std::span<const HfModel> models) {
  const auto type = config.find("model_type");
  if (type == config.end() || !type->is_string()) return models.front();
  const auto model = std::ranges::find(models, type->get_ref<const std::string&>(), &HfModel::type);
  return model == models.end() ? models.front() : *model;
}

void check_hf_config(const Json& config, const std::string& place, const HfModel& model,
                     std::span<const std::span<const FieldRule>> own_fields) {
  std::vector<std::span<const FieldRule>> rules = {kPretrainedConfig};
  for (const auto& fields : own_fields) rules.push_back(fields);
  check_fields(config, {place, fmt::format("transformers' {}Config", model.stem), rules});
  for (const std::string& name :
       get_optional<std::vector<std::string>>(config, "architectures", place)
           .value_or(std::vector<std::string>{})) {
    // Of whichever family: some files of a ViT name a DeiT.
    const bool known = std::ranges::any_of(transformers_models(), [&](const auto* one) {
      return std::ranges::find(one->architectures(), name) != one->architectures().end();
    });
    if (!known)
      fail(ErrorCode::unsupported, "transformers",
           "{}: architectures names {}, a class that Vitrail does not know", place, shown(name));
  }
}

// As transformers' ImageClassificationPipeline chooses: problem_type regression is raw,
// multi_label_classification or a single label sigmoid, anything else softmax. Our own word counts
// where there is no problem_type.
void settle_hf_answer(ReadingDraft& draft, const char* single_label_rule, const Json& config,
                      const std::string& place) {
  const int64_t classes = draft.class_answer().classes;
  auto meaning = answer_of_problem_type(config, place);
  if (classes == 0) return;
  if (meaning) {
    // A single label is asked about by itself, whatever its problem is called.
    if (classes == 1 && meaning->answer == Answer::softmax) meaning->answer = Answer::sigmoid;
    return settle_answer(draft, *meaning, place + " (problem_type)");
  }
  if (const auto own = answer_of_own_word(config, kAnswerKey, place))
    return settle_answer(draft, *own, place + " (" + kAnswerKey + ")");
  if (classes == 1) return settle_answer(draft, {Answer::sigmoid}, single_label_rule);
  settle_answer(draft, {Answer::softmax}, fmt::format("transformers' rule for {} labels", classes));
}

std::span<const FieldRule> hf_encoder_fields() {
  return kEncoder;
}

void agree_with_tensors(const Json& config, const char* key, int64_t there,
                        const std::string& place) {
  const auto value = get_optional<int64_t>(config, key, place);
  if (value && *value != there)
    refuse_disagreement(key, std::to_string(*value), std::to_string(there), place);
}

void agree_with_tensors(const Json& config, const char* key, bool there, const std::string& place) {
  const auto value = get_optional<bool>(config, key, place);
  if (value && *value != there)
    refuse_disagreement(key, *value ? "true" : "false", there ? "true" : "false", place);
}

void settle_from_hf(ConfigDraft& draft, const HfFamily& family, const Json& config,
                    const std::string& outer_place) {
  if (!config.is_object()) fail("transformers", "{}: is not an object", outer_place);
  const HfModel& model = hf_model_of(config, family.hf_models());
  const EncoderConfig encoder = encoder_of(config, model, outer_place);
  const auto& [fields, place] = encoder;
  check_known(family, config, model, encoder, outer_place);
  check_shapes(draft, family, encoder);
  family.check_head(draft, config, outer_place);
  const C& c = draft.config;

  // A field that config.json leaves out has the value that transformers' class gives it.
  const std::string class_default = "transformers' default";
  const auto from = [&](const char* key) { return fields.contains(key) ? place : class_default; };
  const int64_t heads =
      get_optional<int64_t>(fields, "num_attention_heads", place).value_or(model.heads);
  const bool said = !draft.is_open("num_heads");
  draft.settle("num_heads", draft.config.block.attention.num_heads, heads,
               from("num_attention_heads"));
  if (const auto head = get_optional<int64_t>(fields, "head_dim", place);
      !said && heads > 0 && head.value_or(c.embed_dim / heads) * heads != draft.attention_width)
    fail("transformers", "{}: {} heads of head_dim {} are not the {} rows of q", place, heads,
         head.value_or(c.embed_dim / heads), draft.attention_width);
  const char* epsilon = family.epsilon_key();
  draft.settle("layer_norm_epsilon", draft.config.layer_norm_epsilon,
               get_optional<double>(fields, epsilon, place).value_or(model.epsilon), from(epsilon));
  if (draft.is_open("activation"))
    draft.settle("activation", draft.config.block.mlp.activation,
                 hf_activation(get_optional<std::string>(fields, "hidden_act", place)
                                   .value_or(std::string(model.activation)),
                               place),
                 from("hidden_act"));
  const auto [height, width] = hf_sides(fields, "image_size", model.image, place);
  draft.settle_image(height, width, from("image_size"));
  settle_hf_answer(draft, family.single_label_rule(), config, outer_place);
}

}  // namespace vitrail
