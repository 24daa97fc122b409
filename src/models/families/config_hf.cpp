#include <algorithm>
#include <array>

#include "core/error.h"
#include "formats/json.h"
#include "models/families/answer_rules.h"
#include "models/families/draft.h"
#include "models/families/fields.h"

namespace vitrail {
namespace {

using C = VisionTransformerConfig;

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

// What ViTConfig, DeiTConfig, Dinov2Config and Dinov2WithRegistersConfig have in common.
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

// Pooler and decoder (of masked pictures) are not run.
constexpr FieldRule kVit[] = {
    {"intermediate_size"},
    {"encoder_stride", FieldRule::kNumber},
    {"pooler_output_size", FieldRule::kNumber},
    {"pooler_act", FieldRule::kOnly, R"(["tanh"])"},
};

constexpr FieldRule kDinov2[] = {
    {"mlp_ratio"},
    {"use_swiglu_ffn"},
    {"layerscale_value", FieldRule::kNumber},
    {"drop_path_rate", FieldRule::kNumber},
    {"use_mask_token", FieldRule::kFlag},
    {"apply_layernorm", FieldRule::kOnly, "[true]"},
    {"reshape_hidden_states", FieldRule::kFlag},
    {"out_features", FieldRule::kIdle},
    {"out_indices", FieldRule::kIdle},
    {"_out_features", FieldRule::kIdle},
    {"_out_indices", FieldRule::kIdle},
    {"stage_names", FieldRule::kIdle},
};
constexpr FieldRule kRegisters[] = {{"num_register_tokens"}};

// The classes whose files Vitrail answers for.
constexpr const char* kClasses[] = {
    "ViTModel",
    "ViTForImageClassification",
    "ViTForMaskedImageModeling",
    "DeiTModel",
    "DeiTForImageClassification",
    "DeiTForImageClassificationWithTeacher",
    "DeiTForMaskedImageModeling",
    "Dinov2Model",
    "Dinov2ForImageClassification",
    "Dinov2Backbone",
    "Dinov2WithRegistersModel",
    "Dinov2WithRegistersForImageClassification",
    "Dinov2WithRegistersBackbone",
};

Activation hidden_activation(const std::string& name, const std::string& place) {
  static constexpr std::array<std::pair<const char*, Activation>, 8> kNames = {
      {{"gelu", Activation::gelu},
       {"gelu_python", Activation::gelu},
       {"gelu_pytorch_tanh", Activation::gelu_tanh},
       {"gelu_new", Activation::gelu_tanh},
       {"quick_gelu", Activation::quick_gelu},
       {"relu", Activation::relu},
       {"silu", Activation::silu},
       {"swish", Activation::silu}}};
  for (const auto& [text, value] : kNames)
    if (name == text) return value;
  fail("transformers",
       "{}: hidden_act {} is not supported; gelu, gelu_pytorch_tanh, quick_gelu, "
       "relu and silu are",
       place, shown(name));
}

std::pair<int64_t, int64_t> sides(const Json& config, const char* key, int64_t otherwise,
                                  const std::string& place) {
  const auto found = config.find(key);
  if (found == config.end() || found->is_null()) return {otherwise, otherwise};
  if (found->is_array()) {
    const auto pair = get<std::vector<int64_t>>(config, key, place);
    if (pair.size() != 2) fail("transformers", "{}: {} takes one number or two", place, key);
    return {pair[0], pair[1]};
  }
  const auto side = get<int64_t>(config, key, place);
  return {side, side};
}

// What a field says of the tensors must be true; one that is absent leaves it to them.
template <typename T>
void agree(const Json& config, const char* key, T shape, const std::string& place) {
  const auto value = get_optional<T>(config, key, place);
  if (value && *value != shape)
    fail("transformers", "{}: {} is {}, but the tensors have {}", place, key, *value, shape);
}

void check_known(const Spelling& spelling, const Json& config, const std::string& place) {
  const bool dinov2 = spelling.family == Family::hf_dinov2;
  const bool registers = config.value("model_type", Json()) == "dinov2_with_registers";
  std::vector<std::span<const FieldRule>> rules = {kPretrainedConfig, kEncoder};
  rules.emplace_back(dinov2 ? std::span<const FieldRule>(kDinov2) : kVit);
  if (registers) rules.emplace_back(kRegisters);
  const std::string owner = std::string("transformers' ") +
                            (registers                            ? "Dinov2WithRegisters"
                             : dinov2                             ? "Dinov2"
                             : spelling.family == Family::hf_deit ? "DeiT"
                                                                  : "ViT") +
                            "Config";
  check_fields(config, {place, owner, rules});
  for (const std::string& name :
       get_optional<std::vector<std::string>>(config, "architectures", place)
           .value_or(std::vector<std::string>{}))
    if (std::ranges::find(kClasses, name) == std::end(kClasses))
      fail(ErrorCode::unsupported, "transformers",
           "{}: architectures names {}, a class that Vitrail does not know", place, shown(name));
}

// Of what the tensors show, the config must say the same.
void check_shapes(const ConfigDraft& draft, const Spelling& spelling, const Json& config,
                  const std::string& place) {
  const C& c = draft.config;
  agree<int64_t>(config, "hidden_size", c.embed_dim, place);
  agree<int64_t>(config, "num_hidden_layers", c.depth, place);
  agree<int64_t>(config, "num_channels", c.in_channels, place);
  agree<bool>(config, "qkv_bias", c.qkv_bias, place);
  if (c.num_classes > 0) agree<int64_t>(config, "num_labels", c.num_classes, place);
  if (sides(config, "patch_size", c.patch_height, place) !=
      std::pair{c.patch_height, c.patch_width})
    fail("transformers", "{}: patch_size is not the {}x{} of the patch embedding", place,
         c.patch_height, c.patch_width);
  if (spelling.family != Family::hf_dinov2) {
    agree<int64_t>(config, "intermediate_size", c.mlp_hidden_dim, place);
    return;
  }
  const bool gated = c.mlp != MlpKind::plain;
  agree<bool>(config, "use_swiglu_ffn", gated, place);
  if (const auto ratio = get_optional<double>(config, "mlp_ratio", place)) {
    auto hidden = static_cast<int64_t>(static_cast<double>(c.embed_dim) * *ratio);
    if (gated) hidden = (static_cast<int64_t>(static_cast<double>(hidden) * 2 / 3) + 7) / 8 * 8;
    if (hidden != c.mlp_hidden_dim)
      fail("transformers", "{}: mlp_ratio {} makes an MLP of {}, but the tensors have {}", place,
           *ratio, hidden, c.mlp_hidden_dim);
  }
  const bool registers = config.value("model_type", Json()) == "dinov2_with_registers";
  if (registers)
    agree<int64_t>(config, "num_register_tokens", c.register_tokens, place);
  else if (c.register_tokens > 0)
    fail("transformers", "{}: says model_type 'dinov2', but the tensors have register tokens",
         place);
}

}  // namespace

std::span<const FieldRule> pretrained_config_fields() {
  return kPretrainedConfig;
}

void settle_from_hf(ConfigDraft& draft, const Spelling& spelling, const Json& config,
                    const std::string& place) {
  if (!config.is_object()) fail("transformers", "{}: is not an object", place);
  check_known(spelling, config, place);
  check_shapes(draft, spelling, config, place);
  const C& c = draft.config;

  // A field that config.json leaves out has the value that transformers' class gives it.
  const std::string class_default = "transformers' default";
  const auto from = [&](const char* key) { return config.contains(key) ? place : class_default; };
  const int64_t heads = get_optional<int64_t>(config, "num_attention_heads", place).value_or(12);
  const bool said = !draft.is_open("num_heads");
  draft.settle("num_heads", &C::num_heads, heads, from("num_attention_heads"));
  if (const auto head = get_optional<int64_t>(config, "head_dim", place);
      !said && heads > 0 && head.value_or(c.embed_dim / heads) * heads != draft.attention_width)
    fail("transformers", "{}: {} heads of head_dim {} are not the {} rows of q", place, heads,
         head.value_or(c.embed_dim / heads), draft.attention_width);
  const double epsilon = spelling.family == Family::hf_dinov2 ? 1e-6 : 1e-12;
  draft.settle("layer_norm_epsilon", &C::layer_norm_epsilon,
               get_optional<double>(config, "layer_norm_eps", place).value_or(epsilon),
               from("layer_norm_eps"));
  if (draft.is_open("activation"))
    draft.settle(
        "activation", &C::activation,
        hidden_activation(get_optional<std::string>(config, "hidden_act", place).value_or("gelu"),
                          place),
        from("hidden_act"));
  const auto [height, width] = sides(config, "image_size", 224, place);
  draft.settle_image(height, width, from("image_size"));
  settle_answer_from_hf(draft, config, place);
}

}  // namespace vitrail
