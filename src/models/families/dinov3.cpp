// Original DINOv3 (facebookresearch/dinov3): timm's names with some of its own, of backbones alone,
// whose files stand alone. They hold the periods of the rotary positions, and beside the joint bias
// of q, k and v a mask that it is multiplied with: of their models it takes k's out.
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

using C = VitConfig;

// Bits of a generation.
constexpr int kDinov3Masked = 2;  // k's bias is masked
constexpr int kDinov3SwiGlu = 4;  // SwiGLU, as w1, w2 and w3
constexpr double kDinov3Epsilon = 1e-5;
constexpr int64_t kDinov3Picture = 224;
// A file that somebody has thinned out may lack the periods, which are those of a rule.
constexpr std::string_view kDinov3Marks[] = {"rope_embed.periods", "storage_tokens"};
constexpr double kDinov3Base = 100;

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

std::string mask_of_block(const std::string& prefix, int64_t block) {
  return prefix + "blocks." + std::to_string(block) + ".attn.qkv.bias_mask";
}

// Whether a mask hides the bias of k, and nothing else; false: it hides nothing. Error: it is none
// of both, as the NaN of a model whose weights were never initialised.
bool hides_key_bias(const TensorSource& tensors, const std::string& name) {
  const Tensor mask = tensors.tensor(name).to(DType::f32);
  const int64_t width = mask.numel() / 3;
  const auto is = [&](float of_key) {
    for (int64_t j = 0; j < mask.numel(); ++j)
      if (mask.f32()[j] != (j / width == 1 ? of_key : 1.0f)) return false;
    return width > 0 && mask.numel() == 3 * width;
  };
  if (is(0)) return true;
  if (!is(1))
    fail(ErrorCode::unsupported, "dinov3",
         "{}: '{}' hides neither the bias of k alone nor nothing; it must be 1 for q and v, and 0 "
         "or 1 for k",
         tensors.place(), name);
  return false;
}

// Error: a block whose mask is missing, or another than the first block's.
void check_masks(const FileReading& file, int64_t depth) {
  for (int64_t i = 0; i < depth; ++i) {
    const std::string name = mask_of_block(file.spelling.prefix, i);
    if (!file.tensors.contains(name)) fail("dinov3", "{}: lacks '{}'", file.tensors.place(), name);
    if (!hides_key_bias(file.tensors, name))
      fail(ErrorCode::unsupported, "dinov3",
           "{}: '{}' hides nothing, and that of the first block the bias of k",
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
    for (const std::string_view mark : kDinov3Marks)
      if (const auto prefix = file.prefix_before(mark);
          prefix && file.tensors().contains(*prefix + "patch_embed.proj.weight"))
        return Claim{*prefix, *prefix + std::string(mark)};
    return std::nullopt;
  }
  const Family* refines() const override { return timm_family(); }
  void read_spelling(const FileEvidence& file, Spelling& s) const override {
    const auto has = [&](const char* name) { return file.tensors().contains(s.prefix + name); };
    const std::string mask = mask_of_block(s.prefix, 0);
    if (file.tensors().contains(mask) && hides_key_bias(file.tensors(), mask))
      s.generation |= kDinov3Masked;
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

  void leave_open(const Spelling&, ConfigDraft& draft) const override {
    draft.reasons["num_heads"] =
        "without rope_embed.periods nothing shows the heads, which are 64 wide in DINOv3's models";
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
      c.block.attention.key_bias = false;
    }
    c.rotary = {.kind = Rotary::axial,
                .base = kDinov3Base,
                .coordinates = RotaryCoordinates::centred,
                .interleaved = false,
                .stored_periods = c.rotary.stored_periods};
    draft.record("rotary", every_model());
    draft.settle("layer_norm_epsilon", draft.config.layer_norm_epsilon, kDinov3Epsilon,
                 every_model());
    draft.settle("activation", draft.config.block.mlp.activation,
                 c.block.mlp.kind == MlpKind::plain ? Activation::gelu : Activation::silu,
                 every_model());
    draft.settle("pooling", draft.config.head.pooling, Pooling::class_token, every_model());
    draft.settle_image(kDinov3Picture, kDinov3Picture, every_model());
  }
  PositionResize position_resize(const C&) const override {
    return PositionResize::bicubic_antialias;
  }

  const Expressible& expressible() const override { return kDinov3Models; }
  double written_epsilon(const C&) const override { return kDinov3Epsilon; }
  void express_head(ModelEdit& model) const override {
    C& c = model.config;
    model.require(c.head.pooling == Pooling::class_token && c.num_classes == 0,
                  "a head: only backbones are files of it");
    model.require(c.position.kind == Position::none, "positions that are added");
    const RotaryConfig& r = c.rotary;
    model.require(r.kind == Rotary::axial && r.coordinates == RotaryCoordinates::centred &&
                      !r.interleaved && !r.column_first && r.offset == 0,
                  "other positions than its own rotary ones");
    model.require(c.block.mlp.kind != MlpKind::gated_packed_gate_last, "a gate in the second half");
    store_periods(model);
    mask_biases(model);
  }
  // Its files have no place for a head, labels and preprocessing.
  std::vector<const Family*> classifier_forms() const override { return {timm_eva_family()}; }

 protected:
  void spell(const C& config, Spelling& s) const override {
    if (config.block.mlp.kind != MlpKind::plain) s.generation |= kDinov3SwiGlu;
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
