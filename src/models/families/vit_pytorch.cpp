// vit-pytorch (lucidrains): its ViT, whose library writes no config.json. Hub mixins write the
// arguments of its constructor.
#include "models/families/vit_pytorch.h"

#include <array>

#include "core/advice.h"
#include "core/error.h"
#include "core/printable.h"
#include "formats/json.h"
#include "models/families/reading/sides.h"
#include "models/families/recognise.h"
#include "models/families/registry.h"
#include "models/families/vit_family.h"

namespace vitrail {
namespace {

using C = VitConfig;

// Of a generation.
constexpr int kNormedPatches = 2;  // norms around the patch embedding
constexpr int kHeadNorm = 4;       // the last norm stands in the head
constexpr int kSeparateQ = 8;      // q by a matrix of its own (learnable_memory_vit)
constexpr int kApartNorm = 16;     // the MLP's norm stands beside it (vit_with_decorr)

// Norms within the modules; of another age, a PreNorm around them.
constexpr NameRow kVitPytorchRows[] = {
    {"cls_token", {"@cls_token"}},
    {"pos_embed", {"@pos_embedding"}},
    {"blocks.#.norm1", {"@transformer.layers.#.0.norm"}},
    {"blocks.#.attn.qkv", {"@transformer.layers.#.0.to_qkv", "@transformer.layers.#.0.fn.to_qkv"}},
    {"blocks.#.attn.proj",
     {"@transformer.layers.#.0.to_out.0", "@transformer.layers.#.0.fn.to_out.0"}},
    {"blocks.#.attn.reattn_weights", {"@transformer.layers.#.0.reattn_weights"}},
    {"blocks.#.attn.reattn_norm", {"@transformer.layers.#.0.reattn_norm.1"}},
    {"blocks.#.norm2", {"@transformer.layers.#.1.net.0", "@transformer.layers.#.1.norm"}},
    {"blocks.#.mlp.fc1", {"@transformer.layers.#.1.net.1", "@transformer.layers.#.1.fn.net.0"}},
    {"blocks.#.mlp.fc2", {"@transformer.layers.#.1.net.4", "@transformer.layers.#.1.fn.net.3"}},
};

// Of its parallel ViT.
constexpr NameRow kVitPytorchBranches[] = {
    {"blocks.#.attns.#.norm", {"@transformer.layers.#.0.fns.#.norm"}},
    {"blocks.#.attns.#.attn.qkv", {"@transformer.layers.#.0.fns.#.to_qkv"}},
    {"blocks.#.attns.#.attn.proj", {"@transformer.layers.#.0.fns.#.to_out.0"}},
    {"blocks.#.ffns.#.norm", {"@transformer.layers.#.1.fns.#.net.0"}},
    {"blocks.#.ffns.#.mlp.fc1", {"@transformer.layers.#.1.fns.#.net.1"}},
    {"blocks.#.ffns.#.mlp.fc2", {"@transformer.layers.#.1.fns.#.net.4"}},
};

constexpr NameRow kVitPytorchSeparateQ[] = {
    {"blocks.#.attn.qkv", {"@transformer.layers.#.0.to_q+@transformer.layers.#.0.to_kv*2"}}};
constexpr NameRow kVitPytorchApartNorm[] = {
    {"blocks.#.norm2", {"@transformer.layers.#.1.norm"}},
    {"blocks.#.mlp.fc1", {"@transformer.layers.#.1.net.0"}},
    {"blocks.#.mlp.fc2", {"@transformer.layers.#.1.net.3"}},
};

// By whether the patch embedding stands between norms, and whether the transformer ends in one.
constexpr NameRow kVitPytorchNormedPatches[] = {
    {"patch_embed.norm_in", {"@to_patch_embedding.1"}},
    {"patch_embed.proj", {"@to_patch_embedding.2"}},
    {"patch_embed.norm_out", {"@to_patch_embedding.3"}},
};
constexpr NameRow kVitPytorchPlainPatches[] = {{"patch_embed.proj", {"@to_patch_embedding.1"}}};
constexpr NameRow kVitPytorchFinalNorm[] = {{"norm", {"@transformer.norm"}},
                                            {"head", {"@mlp_head"}}};
constexpr NameRow kVitPytorchHeadNorm[] = {{"fc_norm", {"@mlp_head.0"}}, {"head", {"@mlp_head.1"}}};

// The arguments of every model of vit-pytorch's.
constexpr FieldRule kVitPytorchFields[] = {
    {"image_size"}, {"patch_size"}, {"num_classes"}, {"dim"},      {"depth"},
    {"heads"},      {"mlp_dim"},    {"channels"},    {"dim_head"},
};
// Of its ViT and what is made of it.
constexpr FieldRule kVitPytorchOwnFields[] = {
    {"pool"},
    {"dropout", FieldRule::kNumber},
    {"emb_dropout", FieldRule::kNumber},
    {"patch_dropout", FieldRule::kNumber},
    {"use_cls_token", FieldRule::kFlag},  // the tensors say it
};

constexpr std::string_view kVitPytorchClasses[] = {
    "vit_pytorch.vit.ViT",
    "vit_pytorch.vit_pytorch.ViT",
    "vit_pytorch.deepvit.DeepViT",
    "vit_pytorch.vit_with_patch_dropout.ViT",
    "vit_pytorch.vit_detpool.ViTDetPool",
    "vit_pytorch.learnable_memory_vit.ViT",
    "vit_pytorch.vit_with_decorr.ViT",
    "vit_pytorch.parallel_vit.ViT",
};

// Models of vit-pytorch's whose tensors are those of an older ViT, and what they do otherwise.
constexpr std::array<std::pair<std::string_view, const char*>, 2> kVitPytorchTwins = {
    {{"ats_vit", "a model that leaves tokens out by their attention"},
     {"vit_3d", "a model of videos"}}};

constexpr Expressible kVitPytorchModels = {.class_token = Expressible::kOptional,
                                           .qkv_bias = Expressible::kNever,
                                           .final_norm = Expressible::kOneOfTwo,
                                           .empty_class_token = true,
                                           .linear_patches = true,
                                           .block_forms = true,
                                           .reattention = true,
                                           .any_head_size = true,
                                           .any_activation = true,
                                           .no_projection = true};

void agree_with_shapes(const Json& config, const char* key, int64_t shape,
                       const std::string& place) {
  const auto value = get_optional<int64_t>(config, key, place);
  if (value && *value != shape)
    fail("vit-pytorch", "{}: {} is {}, but the tensors have {}", place, key, *value, shape);
}

void settle_vit_pytorch_architecture(ConfigDraft& draft) {
  const std::string& name = draft.architecture_said;
  if (name.empty()) return;
  for (const auto& [twin, what] : kVitPytorchTwins)
    if (name == twin)
      fail(ErrorCode::unsupported, said(Option::settings),
           "architecture is '{}', {}, which Vitrail does not implement", printable(name), what);
  const char* known =
      draft.config.block.attention.mixing == HeadMixingKind::none ? "vit" : "deepvit";
  if (name != known)
    fail(said(Option::settings),
         "architecture is '{}'; of vit-pytorch's models these tensors are a {}'s", printable(name),
         known);
  draft.open.erase("architecture");
  draft.sources.push_back({"architecture", name, said(Option::settings, "architecture")});
}

}  // namespace

std::span<const NameRow> vit_pytorch_rows() {
  return kVitPytorchRows;
}

std::span<const NameRow> vit_pytorch_normed_patches() {
  return kVitPytorchNormedPatches;
}

void settle_from_vit_pytorch(ConfigDraft& draft, const Json& config, const std::string& place,
                             std::span<const FieldRule> more) {
  const std::array<std::span<const FieldRule>, 2> rules = {kVitPytorchFields, more};
  check_fields(config, {place, "vit-pytorch's", rules});
  const C& c = draft.config;
  const auto has = [&](const char* key) {
    const auto found = config.find(key);
    return found != config.end() && !found->is_null();
  };
  agree_with_shapes(config, "dim", c.embed_dim, place);
  agree_with_shapes(config, "depth", c.depth, place);
  agree_with_shapes(config, "mlp_dim", c.block.mlp.hidden, place);
  agree_with_shapes(config, "num_classes", c.num_classes, place);
  draft.settle("in_channels", draft.config.in_channels,
               get_optional<int64_t>(config, "channels", place).value_or(3),
               has("channels") ? place : "vit-pytorch's default");
  agree_with_shapes(config, "channels", c.in_channels, place);
  if (has("patch_size")) {
    const auto [height, width] = sides_from_json(config, "patch_size", place, "vit-pytorch");
    if (height < 1 || width < 1 || height * width * c.in_channels != draft.patch_columns)
      fail("vit-pytorch",
           "{}: patch_size {}x{} of {} channels is not the {} columns of the patch "
           "embedding",
           place, height, width, c.in_channels, draft.patch_columns);
    draft.settle("patch_height", draft.config.patches.patch_height, height, place);
    draft.settle("patch_width", draft.config.patches.patch_width, width, place);
  }
  if (has("heads"))
    draft.settle("num_heads", draft.config.block.attention.num_heads,
                 get<int64_t>(config, "heads", place), place);
  if (has("dim_head") && !draft.is_open("num_heads"))
    agree_with_shapes(config, "dim_head", draft.attention_width / c.block.attention.num_heads,
                      place);
  if (has("pool")) {
    const auto pool = get<std::string>(config, "pool", place);
    if (pool != "cls" && pool != "mean")
      fail("vit-pytorch", "{}: pool {} is not supported; cls and mean are", place, shown(pool));
    draft.settle("pooling", draft.config.head.pooling,
                 pool == "cls" ? Pooling::class_token : Pooling::mean_all, place);
  }
  if (has("image_size")) {
    const auto [height, width] = sides_from_json(config, "image_size", place, "vit-pytorch");
    draft.settle_image(height, width, place);
  }
}

namespace {

class VitPytorchFamily : public VitFamily {
 public:
  const char* name() const override { return "vit_pytorch"; }
  const char* models() const override { return "vit-pytorch's ViT, parallel ViT and DeepViT"; }
  const ConfigForm& config_form() const override { return arguments_form(); }
  std::span<const std::string_view> module_classes() const override { return kVitPytorchClasses; }

  std::optional<Claim> recognise(const FileEvidence& file) const override {
    const auto prefix = file.prefix_before(kVitPytorchMark);
    if (!prefix) return std::nullopt;
    return Claim{*prefix, *prefix + std::string(kVitPytorchMark)};
  }
  void read_spelling(const FileEvidence& file, Spelling& s) const override {
    if (file.any_name_contains(".fn.to_qkv.")) s.generation |= kAgeBit;
    if (file.tensors().contains(s.prefix + "to_patch_embedding.2.weight"))
      s.generation |= kNormedPatches;
    const auto has = [&](const char* name) { return file.tensors().contains(s.prefix + name); };
    if (!has("transformer.norm.weight")) s.generation |= kHeadNorm;
    if (has("transformer.layers.0.0.to_kv.weight")) s.generation |= kSeparateQ;
    if (has("transformer.layers.0.1.norm.weight") && has("transformer.layers.0.1.net.0.weight"))
      s.generation |= kApartNorm;
  }

  NameTables tables(const Spelling& s) const override {
    NameTables tables{{}, s.generation & kAgeBit, false};
    if (s.generation & kSeparateQ) tables.rows.emplace_back(kVitPytorchSeparateQ);
    if (s.generation & kApartNorm) tables.rows.emplace_back(kVitPytorchApartNorm);
    tables.rows.emplace_back(kVitPytorchRows);
    tables.rows.emplace_back(kVitPytorchBranches);
    if (s.generation & kNormedPatches)
      tables.rows.emplace_back(kVitPytorchNormedPatches);
    else
      tables.rows.emplace_back(kVitPytorchPlainPatches);
    if (s.generation & kHeadNorm)
      tables.rows.emplace_back(kVitPytorchHeadNorm);
    else
      tables.rows.emplace_back(kVitPytorchFinalNorm);
    return tables;
  }

  // What the training of vit_with_decorr measures by.
  bool is_left_out(std::string_view name) const override { return name == "decorr_loss.proj"; }

  // Its ats_vit and vit_3d have the names of an older ViT and compute something else.
  void leave_open(const Spelling& s, ConfigDraft& draft) const override {
    const bool shared = s.generation == (kHeadNorm | kNormedPatches);
    if (!shared || draft.config.block.attention.mixing != HeadMixingKind::none) return;
    draft.open.insert("architecture");
    draft.reasons["architecture"] =
        "architecture=vit says that this is an older ViT of vit-pytorch; its ats_vit (which leaves "
        "tokens out) and vit_3d (of videos) have these names, too, and are refused";
  }
  void settle(ConfigDraft& draft, const FileReading& file) const override {
    if (file.has_config())
      settle_from_vit_pytorch(draft, file.files.config, file.files.config_name,
                              kVitPytorchOwnFields);
    settle_patches(draft);
    settle_vit_pytorch_architecture(draft);
    settle_flat_positions(draft, file);
    const C& c = draft.config;
    draft.settle("layer_norm_epsilon", draft.config.layer_norm_epsilon, kVitPytorchEpsilon,
                 every_model());
    if (!c.tokens.class_token)
      draft.settle("pooling", draft.config.head.pooling, Pooling::mean_all, every_model());
    if (!c.block.attention.projection)
      draft.settle("num_heads", draft.config.block.attention.num_heads, int64_t{1}, every_model());
  }
  // The library has no rule, so the model keeps its own.
  PositionResize position_resize(const C& c) const override { return c.position.resize; }

  const Expressible& expressible() const override { return kVitPytorchModels; }
  double written_epsilon(const C&) const override { return kVitPytorchEpsilon; }
  void express_head(ModelEdit& model) const override {
    const C& c = model.config;
    model.require(c.num_classes > 0, "a model without a head");
    model.require(c.block.attention.mixing == HeadMixingKind::none ||
                      (c.patches.norms && c.head.norm && c.tokens.class_token &&
                       c.block.attention.projection),
                  "head_mixing but in its DeepViT, with patch_norm, fc_norm, a class token and an "
                  "output projection");
    model.require(c.head.pooling == Pooling::class_token || c.head.pooling == Pooling::mean_all ||
                      (c.head.pooling == Pooling::mean && c.prefix_tokens() == 0),
                  "any pooling but the class token's and the mean of all tokens");
    model.require(c.block.norms == NormPlacement::pre && !c.block.attention.differential &&
                      c.patch_embedding == PatchEmbedding::linear,
                  "parallel blocks of one norm, differential attention and residual networks");
    model.require(
        c.block.branches == 1 || (!c.patches.norms && c.head.norm && c.tokens.class_token &&
                                  c.block.attention.mixing == HeadMixingKind::none),
        "parallel_branches but in its parallel ViT, with fc_norm and a class token, "
        "without patch_norm and head_mixing");
  }
  // Its files have no place for labels and preprocessing.
  std::vector<const Family*> classifier_forms() const override { return {timm_family()}; }

 protected:
  // Where positions are two-dimensional and the class token is not, it has none of them: it is
  // added behind them (vit_with_patch_dropout, vit_detpool). The latter answers with the patches'
  // mean.
  void settle_flat_positions(ConfigDraft& draft, const FileReading& file) const {
    const TensorInfo* token = file.tensors.find(file.spelling.prefix + "cls_token");
    const TensorInfo* positions = file.tensors.find(file.spelling.prefix + "pos_embedding");
    if (!draft.config.tokens.class_token || token == nullptr || positions == nullptr) return;
    const int axes = token->shape.rank();
    if (positions->shape.rank() != 2 || axes == 2) return;
    draft.position_prefix = 0;
    if (axes == 1)
      draft.settle("pooling", draft.config.head.pooling, Pooling::mean,
                   "names and shapes (ViTDetPool)");
  }

  void spell(const C& config, Spelling& s) const override {
    if (config.patches.norms) s.generation |= kNormedPatches;
    if (config.head.norm) s.generation |= kHeadNorm;
  }
};

}  // namespace

const Family* vit_pytorch_family() {
  static const VitPytorchFamily family;
  return &family;
}

}  // namespace vitrail
