// timm's VisionTransformer and VisionTransformerDistilled, whose names are the canonical ones.
#include "models/families/timm/timm.h"

#include <cmath>

#include "models/families/reading/matching.h"
#include "models/families/recognise.h"
#include "models/families/registry.h"
#include "models/families/timm/timm_module.h"
#include "models/families/timm/timm_parallel.h"
#include "models/families/vit_family.h"
#include "models/field_words.h"

namespace vitrail {
namespace {

using C = VitConfig;

constexpr std::string_view kTimmMark = "patch_embed.proj.weight";

// Names of another age are those of DeiT-III's own files.
constexpr NameRow kTimmRows[] = {
    {"blocks.#.ls1.gamma", {"@blocks.#.ls1.gamma", "@blocks.#.gamma_1"}},
    {"blocks.#.ls2.gamma", {"@blocks.#.ls2.gamma", "@blocks.#.gamma_2"}},
};

// MoCo v3's files of pretraining: its encoder, whose head is a projection, beside what trained it.
constexpr int kMocoBit = 2;  // of a generation
constexpr std::string_view kMocoEncoder = "base_encoder.", kMocoMomentum = "momentum_encoder.",
                           kMocoPredictor = "predictor.";

// MSN's projection head, in the place of a head.
constexpr std::string_view kMsnParts[] = {"fc.fc1.", "fc.fc2.", "fc.fc3.", "fc.bn1.", "fc.bn2."};

constexpr std::string_view kResidualNetwork = "patch_embed.backbone.";
constexpr std::string_view kTimmModules[] = {"pre_logits.fc", kResidualNetwork};
constexpr std::string_view kTimmClasses[] = {
    "timm.models.vision_transformer.VisionTransformer",
    "timm.models.vision_transformer.VisionTransformerDistilled",
    "timm.models.deit.VisionTransformerDistilled",
};

constexpr Expressible kTimmModels = {
    .class_token = Expressible::kOptional,
    .distillation_token = Expressible::kOptional,
    .layer_scale = Expressible::kOptional,
    .final_norm = Expressible::kAtMostOne,
    .register_tokens = true,
    .inner_norms = true,
    .block_forms = true,
    .rms_norm = true,
    .any_activation = true,
    .gated_mlp = true,
    .rectangles = true,
    .no_positions = true,
    .free_position_prefix = true,
    .optional_biases = true,
};

// MAE's decoder, which paints the masked patches.
bool is_mae_decoder(std::string_view name) {
  for (const std::string_view part :
       {"decoder_embed.", "decoder_blocks.", "decoder_norm.", "decoder_pred."})
    if (name.starts_with(part)) return true;
  return name == "decoder_pos_embed";
}

// What timm's files leave open in theory, and settled where no definition of theirs differs: where
// the norms of a block stand, and whether positions are computed.
void settle_plain_structure(ConfigDraft& draft, bool old_names) {
  const C& c = draft.config;
  // ResPostBlock's tensors are a Block's: of timm's definitions with them, all look like this.
  const bool like_res_post = !c.tokens.class_token && c.tokens.register_tokens == 0 &&
                             c.head.norm && !c.block.attention.qkv_bias && !c.block.layer_scale &&
                             !c.pre_norm;
  if (!like_res_post)
    draft.settle("norm_placement", draft.config.block.norms, NormPlacement::pre, "every plain ViT");
  draft.settle("norm", draft.config.norm, NormKind::root_mean_square, "names");
  // Rotary positions leave no tensor. Definitions with them store no others, or are the perception
  // encoders, whose tensors are of no plain ViT of timm, or have the names of DeiT-III's own files
  // and positions of patches alone, as those have.
  const bool like_perception = c.pre_norm && c.tokens.class_token &&
                               (!(c.final_norm || c.head.norm) || is_map(c.head.pooling));
  const int64_t side = std::llround(std::sqrt(static_cast<double>(draft.position_rows)));
  const bool like_rotary = old_names && c.tokens.class_token && side * side == draft.position_rows;
  if (c.position.kind != Position::none && !like_perception && !like_rotary)
    draft.settle("position", draft.config.position.kind, Position::learned, "names");
}

// What only the code of AIMv2's definitions says: no JSON holds a class of layers.
bool is_aimv2(const C& c) {
  return c.block.mlp.kind == MlpKind::gated_split && c.block.mlp.activation == Activation::silu &&
         c.norm == NormKind::root_mean_square && c.patches.output_norm &&
         !c.block.attention.qkv_bias;
}

// Blocks and stems that only a definition's code says: those of the definitions that there are.
void express_block_forms(ModelEdit& model) {
  const C& c = model.config;
  const bool parallel = c.block.norms == NormPlacement::parallel;
  model.require(!parallel || (!c.block.attention.output_norm && !c.block.mlp.hidden_norm &&
                              c.block.mlp.kind == MlpKind::plain),
                "parallel blocks with inner norms or a gated MLP");
  model.require(c.block.branches <= 2, "more than two parallel_branches");
  model.require(c.patch_embedding != PatchEmbedding::resnet || timm_hybrid_of(c) != nullptr,
                "a residual network of other sizes than its hybrids have");
  if (!parallel || !c.block.attention.differential || c.block.layer_scale) return;
  for (int64_t i = 0; i < c.depth; ++i)
    model.tensors[ModelEdit::block(i, "ls1.gamma")] =
        Tensor::full({c.embed_dim}, 1.0f).to(model.dtype());
  model.config.block.layer_scale = true;
  model.fold("LayerScale of ones is added");
}

// timm's distilled models answer with the mean of two heads.
void double_head(ModelEdit& model) {
  for (const char* name : {"head.weight", "head.bias"}) {
    Tensor& tensor = model.at(name);
    model.tensors[std::string("head_dist") + (name + 4)] =
        Tensor::zeros(tensor.shape()).to(tensor.dtype());
    tensor = model.scaled(tensor, 2);
  }
  model.config.head.pooling = Pooling::distilled;
  model.fold("the head is doubled, for a mean with a distillation head of zeros");
}

class TimmFamily : public VitFamily {
 public:
  const char* name() const override { return "timm"; }
  const char* models() const override { return "timm's ViT and DeiT"; }
  const ConfigForm& config_form() const override { return timm_form(); }
  std::span<const std::string_view> module_classes() const override { return kTimmClasses; }

  std::optional<Claim> recognise(const FileEvidence& file) const override {
    const auto prefix = file.prefix_before(kTimmMark);
    if (!prefix) return std::nullopt;
    if (file.has_form(timm_form())) return Claim{*prefix, "timm's config.json", true};
    return Claim{*prefix, *prefix + std::string(kTimmMark)};
  }
  void read_spelling(const FileEvidence& file, Spelling& s) const override {
    if (file.tensors().contains(s.prefix + "blocks.0.gamma_1")) s.generation |= kAgeBit;
    if (s.prefix.ends_with(kMocoEncoder) &&
        file.tensors().contains(outside_of(s) + std::string(kMocoMomentum) +
                                std::string(kTimmMark)))
      s.generation |= kMocoBit;
  }

  NameTables tables(const Spelling& s) const override {
    return {{kTimmRows}, s.generation & kAgeBit, true};
  }
  std::shared_ptr<TensorSource> presented(std::shared_ptr<TensorSource> tensors,
                                          const Spelling& spelling) const override {
    return with_parallel_blocks(std::move(tensors), spelling.prefix);
  }
  void join_tensors(ModelEdit& model) const override { join_parallel_blocks(model); }
  std::span<const std::string_view> more_modules() const override { return kTimmModules; }
  bool is_left_out(std::string_view name) const override {
    return name == "mask_token" || name == "masked_embed" || is_mae_decoder(name) ||
           std::ranges::any_of(kMsnParts, [&](auto part) { return name.starts_with(part); });
  }
  bool is_training_part(const Spelling& s, std::string_view name) const override {
    if ((s.generation & kMocoBit) == 0) return false;
    const std::string outside = outside_of(s);
    return name.starts_with(s.prefix + "head.") ||
           name.starts_with(outside + std::string(kMocoMomentum)) ||
           name.starts_with(outside + std::string(kMocoPredictor));
  }

  void leave_open(const Spelling&, ConfigDraft& draft) const override {
    draft.open.insert({"norm_placement", "position"});
    const C& c = draft.config;
    if (c.block.norms == NormPlacement::parallel || c.block.branches > 1)
      draft.settle("norm_placement", draft.config.block.norms, c.block.norms, "names");
    // A table is there or not; whether q and k are turned besides, no tensor says.
    draft.reasons["position"] = fmt::format(
        "timm's rotary ViTs have these tensors, too: position={} says that this model is none, and "
        "an architecture which it is",
        word_of(draft.config.position.kind));
    draft.reasons["norm_placement"] =
        "norm_placement is pre, or res_post where norms follow attention and MLP";
  }
  void settle(ConfigDraft& draft, const FileReading& file) const override {
    settle_from_module(draft, file.tensors);
    if (file.has_config()) {
      settle_from_timm(draft, file.files.config, file.files.config_name, kTimmVisionTransformer);
    } else {
      settle_from_published(draft, *this);
      find_candidates(draft, {timm_family(), timm_eva_family()});
    }
    settle_plain_structure(draft, (file.spelling.generation & kAgeBit) != 0);
    if (draft.config.tokens.distillation_token)
      draft.settle("pooling", draft.config.head.pooling, Pooling::distilled, every_model());
  }
  std::vector<int64_t> position_prefixes(const C& c) const override {
    if (c.prefix_tokens() == 0) return {0};
    return {c.prefix_tokens(), 0};
  }
  // timm compares a picture with the model's own size alone, whether patches fill it or not.
  void settle_partial_patches(ConfigDraft& draft) const override {
    C& c = draft.config;
    if (c.patch_embedding == PatchEmbedding::resnet) return;
    if (!draft.is_open("image_size") && c.patches.patch_height > 0 && c.patches.patch_width > 0)
      c.patches.drop_partial = c.image_height % c.patches.patch_height != 0 ||
                               c.image_width % c.patches.patch_width != 0;
  }
  PositionResize position_resize(const C&) const override {
    return PositionResize::bicubic_antialias;
  }

  const Expressible& expressible() const override { return kTimmModels; }
  // Its AIMv2, and its CLIP towers, have the other epsilon, but neither distillation nor gates.
  double written_epsilon(const C& c) const override {
    const bool tower = c.layer_norm_epsilon == 1e-5 && !c.tokens.distillation_token &&
                       c.block.mlp.kind == MlpKind::plain && c.norm == NormKind::layer &&
                       c.block.norms == NormPlacement::pre && c.block.branches == 1 &&
                       c.patch_embedding == PatchEmbedding::convolution;
    return tower || is_aimv2(c) ? 1e-5 : 1e-6;
  }
  void express_head(ModelEdit& model) const override {
    const C& c = model.config;
    express_block_forms(model);
    model.require(c.block.mlp.kind != MlpKind::gated_split || is_aimv2(c),
                  "SwiGLU with a projection for each half, but in an AIMv2");
    model.require(c.head.pooling != Pooling::class_and_mean, "class token and mean together");
    if (c.tokens.distillation_token && c.head.pooling == Pooling::class_token && c.num_classes > 0)
      double_head(model);
    model.require(!c.tokens.distillation_token || c.head.pooling == Pooling::distilled,
                  "a distillation token that no head reads");
    model.require(
        !is_map(c.head.pooling) ||
            ((c.head.map.num_heads == 0 || c.head.map.num_heads == c.block.attention.num_heads) &&
             (c.head.map.mlp_hidden_dim == 0 || c.head.map.mlp_hidden_dim == c.mlp_hidden())),
        "map pooling with heads and MLP of its own");
  }
  nlohmann::json config_for(const NetworkConfig& config, const ConversionOptions& options,
                            std::vector<std::string>& folds) const override {
    return timm_config(as_vit(config), options, folds);
  }
  PreprocessKind preprocess_kind() const override { return PreprocessKind::timm; }

 private:
  // What stands before MoCo's encoder, too.
  static std::string outside_of(const Spelling& s) {
    return s.prefix.substr(0, s.prefix.size() - kMocoEncoder.size());
  }
};

}  // namespace

const Family* timm_family() {
  static const TimmFamily family;
  return &family;
}

}  // namespace vitrail
