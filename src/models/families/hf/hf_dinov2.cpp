// transformers' Dinov2 and Dinov2WithRegisters: a ViT with LayerScale, whose classifier reads class
// token and mean of the patches.
#include <cstring>

#include "core/error.h"
#include "formats/json.h"
#include "models/families/hf/hf.h"
#include "models/families/hf/hf_dinov2.h"
#include "models/families/recognise.h"
#include "models/families/registry.h"

namespace vitrail {
namespace {

using C = VitConfig;

constexpr int kHfGatedMlp = 4;  // of a generation: SwiGLU

constexpr NameRow kHfDinov2[] = {
    {"blocks.#.norm1", {"@encoder.layer.#.norm1"}},
    {"blocks.#.norm2", {"@encoder.layer.#.norm2"}},
    {"blocks.#.attn.qkv",
     {"@encoder.layer.#.attention.attention.query+@encoder.layer.#.attention.attention.key+"
      "@encoder.layer.#.attention.attention.value",
      "@encoder.layer.#.attention.q_proj+@encoder.layer.#.attention.k_proj+"
      "@encoder.layer.#.attention.v_proj"}},
    {"blocks.#.attn.proj",
     {"@encoder.layer.#.attention.output.dense", "@encoder.layer.#.attention.o_proj"}},
    {"blocks.#.ls1.gamma", {"@encoder.layer.#.layer_scale1.lambda1"}},
    {"blocks.#.ls2.gamma", {"@encoder.layer.#.layer_scale2.lambda1"}},
    {"blocks.#.mlp.fc1", {"@encoder.layer.#.mlp.fc1"}},
    {"blocks.#.mlp.fc2", {"@encoder.layer.#.mlp.fc2"}},
};

constexpr NameRow kHfDinov2Gated[] = {
    {"blocks.#.mlp.fc1",
     {"@encoder.layer.#.mlp.weights_in",
      "@encoder.layer.#.mlp.gate_proj+@encoder.layer.#.mlp.up_proj"}},
    {"blocks.#.mlp.fc2", {"@encoder.layer.#.mlp.weights_out", "@encoder.layer.#.mlp.down_proj"}},
};

constexpr FieldRule kHfDinov2Fields[] = {
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
constexpr FieldRule kHfRegisterFields[] = {{"num_register_tokens"}};

constexpr HfModel kHfDinov2Models[] = {
    {.type = "dinov2", .stem = "Dinov2", .epsilon = 1e-6},
    {.type = "dinov2_with_registers", .stem = "Dinov2WithRegisters", .epsilon = 1e-6}};
constexpr std::string_view kHfDinov2Architectures[] = {
    "Dinov2Model",
    "Dinov2ForImageClassification",
    "Dinov2Backbone",
    "Dinov2WithRegistersModel",
    "Dinov2WithRegistersForImageClassification",
    "Dinov2WithRegistersBackbone",
};
constexpr std::string_view kHfDinov2Classes[] = {
    "transformers.models.dinov2.modeling_dinov2.Dinov2Model",
    "transformers.models.dinov2.modeling_dinov2.Dinov2ForImageClassification",
    "transformers.models.dinov2_with_registers.modeling_dinov2_with_registers."
    "Dinov2WithRegistersModel",
    "transformers.models.dinov2_with_registers.modeling_dinov2_with_registers."
    "Dinov2WithRegistersForImageClassification",
};
constexpr Expressible kHfDinov2Expressible = {.layer_scale = Expressible::kAlways,
                                              .register_tokens = true,
                                              .mask_token = true,
                                              .any_head_size = true,
                                              .any_activation = true,
                                              .gated_mlp = true,
                                              .rectangles = true};

// int(x * 2 / 3) + 7 rounded down to eights, in floating point as there.
int64_t hidden_of_ratio(const C& c, double ratio) {
  const auto plain = static_cast<int64_t>(static_cast<double>(c.embed_dim) * ratio);
  if (c.block.mlp.kind == MlpKind::plain) return plain;
  return (static_cast<int64_t>(static_cast<double>(plain) * 2 / 3) + 7) / 8 * 8;
}

// The whole ratio that gives transformers' DINOv2 this hidden size.
int64_t written_ratio(const C& c) {
  constexpr int64_t kMaxRatio = 64;
  for (int64_t ratio = 1; ratio <= kMaxRatio; ++ratio)
    if (hidden_of_ratio(c, static_cast<double>(ratio)) == c.mlp_hidden()) return ratio;
  fail("convert",
       "hf_dinov2 models cannot express an MLP of {} in a width of {}: mlp_ratio is a "
       "whole number there",
       c.mlp_hidden(), c.embed_dim);
}

// The head that reads the class token alone made one that reads [class token, mean of patches].
void widen_head(ModelEdit& model) {
  C& c = model.config;
  Tensor& weight = model.at("head.weight");
  Tensor wide = Tensor::zeros({c.num_classes, 2 * c.embed_dim}, weight.dtype());
  const size_t row = weight.bytes() / static_cast<size_t>(c.num_classes);
  for (int64_t i = 0; i < c.num_classes; ++i)
    std::memcpy(static_cast<std::byte*>(wide.raw()) + static_cast<size_t>(i) * 2 * row,
                static_cast<const std::byte*>(weight.raw()) + static_cast<size_t>(i) * row, row);
  weight = wide;
  c.head.pooling = Pooling::class_and_mean;
  model.fold("the head reads the mean of patches too, with weights of zero");
}

class HfDinov2Family : public HfFamily {
 public:
  const char* name() const override { return "hf_dinov2"; }
  const char* models() const override { return "transformers' DINOv2"; }
  std::span<const HfModel> hf_models() const override { return kHfDinov2Models; }
  std::span<const std::string_view> architectures() const override {
    return kHfDinov2Architectures;
  }
  std::span<const std::string_view> module_classes() const override { return kHfDinov2Classes; }
  std::string_view mark() const override { return "layer_scale1.lambda1"; }
  const Family* refines() const override { return hf_vit_family(); }
  bool suits(const NetworkConfig& config) const override {
    const auto* vit = config.get_if<C>();
    return vit != nullptr &&
           (vit->block.layer_scale || vit->tokens.register_tokens > 0 ||
            vit->block.mlp.kind != MlpKind::plain || vit->head.pooling == Pooling::class_and_mean);
  }

  void read_spelling(const FileEvidence& file, Spelling& s) const override {
    HfFamily::read_spelling(file, s);
    if (file.any_name_contains(".mlp.weights_in.") || file.any_name_contains(".mlp.gate_proj."))
      s.generation |= kHfGatedMlp;
  }
  NameTables tables(const Spelling& s) const override {
    const int column = s.generation & kAgeBit;
    if (s.generation & kHfGatedMlp) return {{kHfDinov2Gated, kHfDinov2, hf_rows()}, column, false};
    return {{kHfDinov2, hf_rows()}, column, false};
  }

  std::vector<std::span<const FieldRule>> config_fields(const HfModel& model) const override {
    if (&model == &kHfDinov2Models[1])
      return {hf_encoder_fields(), kHfDinov2Fields, kHfRegisterFields};
    return {hf_encoder_fields(), kHfDinov2Fields};
  }
  void check_config(ConfigDraft& draft, const nlohmann::json& config,
                    const std::string& place) const override {
    const C& c = draft.config;
    agree_with_tensors(config, "qkv_bias", c.block.attention.qkv_bias, place);
    check_dinov2_mlp(c, config, place);
    if (config.value("model_type", std::string()) == kHfDinov2Models[1].type)
      agree_with_tensors(config, "num_register_tokens", c.tokens.register_tokens, place);
    else if (c.tokens.register_tokens > 0)
      fail("transformers", "{}: says model_type 'dinov2', but the tensors have register tokens",
           place);
  }
  bool reads_class_and_mean() const override { return true; }

  const HfModel& written_model(const C& c) const override {
    return kHfDinov2Models[c.tokens.register_tokens > 0 ? 1 : 0];
  }
  void add_fields(const C& c, nlohmann::json& out) const override {
    HfFamily::add_fields(c, out);
    add_dinov2_mlp(c, out);
    if (c.tokens.register_tokens > 0) out["num_register_tokens"] = c.tokens.register_tokens;
  }

  const Expressible& expressible() const override { return kHfDinov2Expressible; }
  void express_head(ModelEdit& model) const override {
    const Pooling pooling = model.config.head.pooling;
    model.require(pooling == Pooling::class_and_mean || pooling == Pooling::class_token,
                  "any pooling but the class token's");
    if (model.config.num_classes > 0 && pooling == Pooling::class_token) widen_head(model);
  }

 protected:
  void spell_model(const C& config, Spelling& s) const override {
    if (config.block.mlp.kind != MlpKind::plain) s.generation |= kHfGatedMlp;
  }
};

}  // namespace

void check_dinov2_mlp(const C& c, const nlohmann::json& fields, const std::string& place) {
  agree_with_tensors(fields, "use_swiglu_ffn", c.block.mlp.kind != MlpKind::plain, place);
  if (const auto ratio = get_optional<double>(fields, "mlp_ratio", place))
    if (const int64_t hidden = hidden_of_ratio(c, *ratio); hidden != c.block.mlp.hidden)
      fail("transformers", "{}: mlp_ratio {} makes an MLP of {}, but the tensors have {}", place,
           *ratio, hidden, c.block.mlp.hidden);
}

void add_dinov2_mlp(const C& c, nlohmann::json& out) {
  out.erase("intermediate_size");
  out["mlp_ratio"] = written_ratio(c);
  out["use_swiglu_ffn"] = c.block.mlp.kind == MlpKind::gated_packed;
  out["layerscale_value"] = 1.0;
}

const Family* hf_dinov2_family() {
  static const HfDinov2Family family;
  return &family;
}

}  // namespace vitrail
