// vit-pytorch's SimpleViT (Beyer et al. 2022) and what is made of it: registers, patch dropout, its
// "flash" form, whose norm stands in the head. Positions are computed, and nothing in the file says
// of which grid. The registers stand behind the patches, which no answer depends on.
#include "core/error.h"
#include "formats/json.h"
#include "models/families/reading/fields.h"
#include "models/families/recognise.h"
#include "models/families/registry.h"
#include "models/families/vit_family.h"
#include "models/families/vit_pytorch.h"

namespace vitrail {
namespace {

using C = VitConfig;

constexpr int kSimpleHeadNorm = 2;  // of a generation: the last norm stands in the head

constexpr NameRow kSimpleRows[] = {
    {"reg_token", {"@register_tokens"}},
    {"blocks.#.attn.proj", {"@transformer.layers.#.0.to_out"}},
    {"blocks.#.mlp.fc2", {"@transformer.layers.#.1.net.3"}},
};
constexpr NameRow kSimpleFinalNorm[] = {{"norm", {"@transformer.norm"}},
                                        {"head", {"@linear_head"}}};
constexpr NameRow kSimpleNormedHead[] = {{"fc_norm", {"@linear_head.0"}},
                                         {"head", {"@linear_head.1"}}};

constexpr FieldRule kSimpleFields[] = {
    {"num_register_tokens"},
    {"patch_dropout", FieldRule::kNumber},
    {"use_flash", FieldRule::kFlag},
};

constexpr std::string_view kSimpleClasses[] = {
    "vit_pytorch.simple_vit.SimpleViT",
    "vit_pytorch.simple_vit_with_register_tokens.SimpleViT",
    "vit_pytorch.simple_vit_with_patch_dropout.SimpleViT",
    "vit_pytorch.simple_flash_attn_vit.SimpleViT",
};

constexpr Expressible kSimpleModels = {.class_token = Expressible::kNever,
                                       .qkv_bias = Expressible::kNever,
                                       .final_norm = Expressible::kOneOfTwo,
                                       .register_tokens = true,
                                       .linear_patches = true,
                                       .any_head_size = true,
                                       .any_activation = true,
                                       .rectangles = true,
                                       .computed_positions = true,
                                       .projection_bias = false};

class VitPytorchSimple : public VitFamily {
 public:
  const char* name() const override { return "vit_pytorch_simple"; }
  const char* models() const override { return "vit-pytorch's SimpleViT"; }
  const ConfigForm& config_form() const override { return arguments_form(); }
  std::span<const std::string_view> module_classes() const override { return kSimpleClasses; }

  std::optional<Claim> recognise(const FileEvidence& file) const override {
    const auto prefix = file.prefix_before(kVitPytorchMark);
    if (!prefix) return std::nullopt;
    for (const char* head : {"linear_head.weight", "linear_head.1.weight"})
      if (file.tensors().contains(*prefix + head)) return Claim{*prefix, *prefix + head};
    return std::nullopt;
  }
  const Family* refines() const override { return vit_pytorch_family(); }
  void read_spelling(const FileEvidence& file, Spelling& s) const override {
    if (file.tensors().contains(s.prefix + "linear_head.1.weight")) s.generation |= kSimpleHeadNorm;
  }
  NameTables tables(const Spelling& s) const override {
    NameTables tables{{kSimpleRows, vit_pytorch_rows(), vit_pytorch_normed_patches()}, 0, false};
    if (s.generation & kSimpleHeadNorm)
      tables.rows.emplace_back(kSimpleNormedHead);
    else
      tables.rows.emplace_back(kSimpleFinalNorm);
    return tables;
  }

  void leave_open(const Spelling&, ConfigDraft& draft) const override {
    draft.config.position.kind = Position::sincos_2d_closed;
    draft.reasons["image_size"] = "positions are computed, so no tensor shows the picture's size";
  }
  void settle(ConfigDraft& draft, const FileReading& file) const override {
    if (file.has_config()) {
      settle_from_vit_pytorch(draft, file.files.config, file.files.config_name, kSimpleFields);
      check_registers(draft, file);
    }
    settle_patches(draft);
    draft.record("position", every_model());
    draft.settle("layer_norm_epsilon", draft.config.layer_norm_epsilon, kVitPytorchEpsilon,
                 every_model());
    draft.settle("activation", draft.config.block.mlp.activation, Activation::gelu, every_model());
    draft.settle("pooling", draft.config.head.pooling, Pooling::mean, every_model());
  }
  std::vector<int64_t> position_prefixes(const C&) const override { return {0}; }
  // There is no table that could be stretched.
  PositionResize position_resize(const C& c) const override { return c.position.resize; }

  const Expressible& expressible() const override { return kSimpleModels; }
  double written_epsilon(const C&) const override { return kVitPytorchEpsilon; }
  void express_head(ModelEdit& model) const override {
    const C& c = model.config;
    model.require(c.num_classes > 0, "a model without a head");
    model.require(c.patches.norms, "a patch embedding without norms around it");
    model.require(c.head.pooling == Pooling::mean, "any pooling but the mean of the patches");
    model.require(c.block.mlp.activation == Activation::gelu, "another activation than GELU");
  }
  // Its files have no place for labels and preprocessing.
  std::vector<const Family*> classifier_forms() const override { return {own_family()}; }

 protected:
  void spell(const C& config, Spelling& s) const override {
    if (config.head.norm) s.generation |= kSimpleHeadNorm;
  }

 private:
  static void check_registers(const ConfigDraft& draft, const FileReading& file) {
    const auto said =
        get_optional<int64_t>(file.files.config, "num_register_tokens", file.files.config_name);
    if (said && *said != draft.config.tokens.register_tokens)
      fail("vit-pytorch", "{}: num_register_tokens is {}, but the tensors have {}",
           file.files.config_name, *said, draft.config.tokens.register_tokens);
  }
};

}  // namespace

const Family* vit_pytorch_simple_family() {
  static const VitPytorchSimple family;
  return &family;
}

}  // namespace vitrail
