// Original DINOv3 (facebookresearch/dinov3): timm's names with some of its own, of backbones alone,
// whose files stand alone. They hold the periods of the rotary positions, and beside the joint bias
// of q, k and v a mask that takes k's out.
#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "models/families/reading/fields.h"
#include "models/families/reading/matching.h"
#include "models/families/recognise.h"
#include "models/families/registry.h"
#include "models/families/vit_family.h"

namespace vitrail {
namespace {

using C = VisionTransformerConfig;

// Bits of a generation.
constexpr int kDinov3Masked = 2;  // k's bias is masked
constexpr int kDinov3SwiGlu = 4;  // SwiGLU, as w1, w2 and w3
constexpr double kDinov3Epsilon = 1e-5;
constexpr int64_t kDinov3Picture = 224;
constexpr std::string_view kDinov3Mark = "rope_embed.periods";

constexpr NameRow kDinov3Rows[] = {
    {"reg_token", {"@storage_tokens"}},
    {"rope.periods", {"@rope_embed.periods"}},
};
constexpr NameRow kDinov3MaskedRows[] = {
    {"blocks.#.attn.q_bias", {"@blocks.#.attn.qkv.bias[0:1/3]"}},
    {"blocks.#.attn.v_bias", {"@blocks.#.attn.qkv.bias[2:3/3]"}},
};
constexpr NameRow kDinov3SwiGluRows[] = {
    {"blocks.#.mlp.fc1_g", {"@blocks.#.mlp.w1"}},
    {"blocks.#.mlp.fc1_x", {"@blocks.#.mlp.w2"}},
    {"blocks.#.mlp.fc2", {"@blocks.#.mlp.w3"}},
};

constexpr std::string_view kDinov3Classes[] = {
    "dinov3.models.vision_transformer.DinoVisionTransformer"};

constexpr Expressible kDinov3Models = {.layer_scale = Expressible::kAlways,
                                       .register_tokens = true,
                                       .mask_token = true,
                                       .no_positions = true,
                                       .split_gate = true,
                                       .rotary = true,
                                       .stored_periods = true};

// Error: a mask that hides something else than the bias of k.
void check_masks(const FileReading& file, int64_t depth) {
  for (int64_t i = 0; i < depth; ++i) {
    const std::string name =
        file.spelling.prefix + "blocks." + std::to_string(i) + ".attn.qkv.bias_mask";
    if (!file.tensors.contains(name)) fail("dinov3", "{}: lacks '{}'", file.tensors.place(), name);
    const Tensor mask = file.tensors.tensor(name).to(DType::f32);
    const int64_t width = mask.numel() / 3;
    for (int64_t j = 0; j < mask.numel(); ++j)
      if (mask.f32()[j] != (j / width == 1 ? 0.0f : 1.0f))
        fail(ErrorCode::unsupported, "dinov3",
             "{}: '{}' does not hide the bias of k alone, which is what Vitrail implements",
             file.tensors.place(), name);
  }
}

bool is_zero(const Tensor& tensor) {
  const Tensor values = tensor.to(DType::f32);
  return std::ranges::all_of(values.values(), [](float value) { return value == 0; });
}

class Dinov3Family : public VitFamily {
 public:
  const char* name() const override { return "dinov3"; }
  const char* models() const override { return "original DINOv3"; }
  const ConfigForm& config_form() const override { return arguments_form(); }
  std::span<const std::string_view> module_classes() const override { return kDinov3Classes; }

  std::optional<Claim> recognise(const FileEvidence& file) const override {
    const auto prefix = file.prefix_before(kDinov3Mark);
    if (!prefix || !file.tensors().contains(*prefix + "patch_embed.proj.weight"))
      return std::nullopt;
    return Claim{*prefix, *prefix + std::string(kDinov3Mark)};
  }
  const Family* refines() const override { return timm_family(); }
  void read_spelling(const FileEvidence& file, Spelling& s) const override {
    const auto has = [&](const char* name) { return file.tensors().contains(s.prefix + name); };
    if (has("blocks.0.attn.qkv.bias_mask")) s.generation |= kDinov3Masked;
    if (has("blocks.0.mlp.w3.weight")) s.generation |= kDinov3SwiGlu;
  }
  NameTables tables(const Spelling& s) const override {
    NameTables tables{.rows = {kDinov3Rows}, .column = 0, .identity = true};
    if (s.generation & kDinov3Masked) tables.rows.emplace_back(kDinov3MaskedRows);
    if (s.generation & kDinov3SwiGlu) tables.rows.emplace_back(kDinov3SwiGluRows);
    return tables;
  }
  // Of training alone; the masks are read where the biases are.
  bool is_left_out(std::string_view name) const override {
    return name == "mask_token" || name == "local_cls_norm.weight" ||
           name == "local_cls_norm.bias" || name.ends_with(".attn.qkv.bias_mask");
  }

  void settle(ConfigDraft& draft, const FileReading& file) const override {
    // There is no configuration of its own that could be read.
    if (file.has_config())
      check_fields(file.files.config,
                   {file.files.config_name, "original DINOv3, whose files stand alone,", {}});
    settle_from_published(draft, *this);
    C& c = draft.config;
    if (file.spelling.generation & kDinov3Masked) {
      check_masks(file, c.depth);
      c.key_bias = false;
    }
    c.rotary = {.kind = Rotary::axial,
                .base = 100,
                .coordinates = RotaryCoordinates::centred,
                .interleaved = false,
                .stored_periods = true};
    draft.record("rotary", every_model());
    draft.settle("layer_norm_epsilon", &C::layer_norm_epsilon, kDinov3Epsilon, every_model());
    draft.settle("activation", &C::activation,
                 c.mlp == MlpKind::plain ? Activation::gelu : Activation::silu, every_model());
    draft.settle("pooling", &C::pooling, Pooling::class_token, every_model());
    draft.settle_image(kDinov3Picture, kDinov3Picture, every_model());
  }
  PositionResize position_resize(const C&) const override {
    return PositionResize::bicubic_antialias;
  }

  const Expressible& expressible() const override { return kDinov3Models; }
  double written_epsilon(const C&) const override { return kDinov3Epsilon; }
  void express_head(ModelEdit& model) const override {
    C& c = model.config;
    model.require(c.pooling == Pooling::class_token && c.num_classes == 0,
                  "a head: only backbones are files of it");
    model.require(c.position == Position::none, "positions that are added");
    const RotarySettings& r = c.rotary;
    model.require(r.kind == Rotary::axial && r.coordinates == RotaryCoordinates::centred &&
                      !r.interleaved && !r.column_first && r.offset == 0,
                  "other positions than its own rotary ones");
    model.require(c.mlp != MlpKind::gated_packed_gate_last, "a gate in the second half");
    store_periods(model);
    mask_biases(model);
  }
  // Its files have no place for a head, labels and preprocessing.
  std::vector<const Family*> classifier_forms() const override { return {timm_eva_family()}; }

 protected:
  void spell(const C& config, Spelling& s) const override {
    if (config.mlp != MlpKind::plain) s.generation |= kDinov3SwiGlu;
  }

 private:
  static void store_periods(ModelEdit& model) {
    C& c = model.config;
    if (c.rotary.stored_periods) return;
    Tensor periods = Tensor::empty({c.head_size() / 4});
    for (int64_t i = 0; i < periods.numel(); ++i)
      periods.f32()[i] = static_cast<float>(
          std::pow(c.rotary.base, static_cast<double>(i) / static_cast<double>(periods.numel())));
    model.tensors["rope.periods"] = periods;
    c.rotary.stored_periods = true;
    model.fold("the periods of rotary positions are stored");
  }
  // A bias of k that is all zeros is one that was masked.
  static void mask_biases(ModelEdit& model) {
    const C& c = model.config;
    for (int64_t i = 0; i < c.depth; ++i) {
      const auto bias = model.tensors.find(ModelEdit::block(i, "attn.qkv.bias"));
      if (bias == model.tensors.end()) return;
      const int64_t width = bias->second.numel() / 3;
      if (!is_zero(bias->second.rows(width, 2 * width))) return;
      Tensor mask = Tensor::full({3 * width}, 1.0f);
      std::fill_n(mask.f32() + width, width, 0.0f);
      model.tensors[ModelEdit::block(i, "attn.qkv.bias_mask")] = mask.to(model.dtype());
    }
  }
};

}  // namespace

const Family* dinov3_family() {
  static const Dinov3Family family;
  return &family;
}

}  // namespace vitrail
