// Original DINOv2 (facebookresearch/dinov2): timm's names with some of its own, of backbones alone,
// whose files stand alone.
#include <charconv>
#include <map>

#include "core/error.h"
#include "models/families/reading/fields.h"
#include "models/families/reading/matching.h"
#include "models/families/recognise.h"
#include "models/families/registry.h"
#include "models/families/vit_family.h"

namespace vitrail {
namespace {

using C = VitConfig;

constexpr int kDinov2Gated = 4;  // of a generation: SwiGLU, as w12 and w3
constexpr std::string_view kDinov2GatedPart = ".mlp.w12.";
constexpr double kDinov2Epsilon = 1e-6;

constexpr NameRow kDinov2Rows[] = {
    {"reg_token", {"@register_tokens"}},
    {"blocks.#.mlp.fc1", {"@blocks.#.mlp.fc1", "@blocks.#.mlp.w12"}},
    {"blocks.#.mlp.fc2", {"@blocks.#.mlp.fc2", "@blocks.#.mlp.w3"}},
};

constexpr std::string_view kDinov2Classes[] = {
    "dinov2.models.vision_transformer.DinoVisionTransformer"};

constexpr Expressible kDinov2Models = {.layer_scale = Expressible::kAlways,
                                       .qkv_bias = Expressible::kAlways,
                                       .register_tokens = true,
                                       .mask_token = true,
                                       .gated_mlp = true};

// blocks.CHUNK.INDEX.norm1.weight: the chunk of each block.
std::vector<int64_t> find_chunks(const FileEvidence& file, const std::string& prefix) {
  const std::string& place = file.tensors().place();
  std::map<int64_t, int64_t> chunks;
  const std::string start = prefix + "blocks.";
  for (const std::string& name : file.names()) {
    if (!name.starts_with(start) || !name.ends_with(".norm1.weight")) continue;
    const char* at = name.data() + start.size();
    const char* end = name.data() + name.size();
    int64_t chunk = 0, index = 0;
    const auto first = std::from_chars(at, end, chunk);
    if (first.ec != std::errc() || first.ptr == end || *first.ptr != '.') continue;
    const auto second = std::from_chars(first.ptr + 1, end, index);
    if (second.ec != std::errc()) continue;  // blocks.INDEX.norm1: not chunked
    if (!chunks.emplace(index, chunk).second)
      fail("family", "{}: block {} stands in two chunks", place, index);
  }
  std::vector<int64_t> by_block;
  for (const auto& [index, chunk] : chunks) {
    if (index != static_cast<int64_t>(by_block.size()))
      fail("family", "{}: block {} is missing from the chunks", place, by_block.size());
    by_block.push_back(chunk);
  }
  return by_block;
}

class Dinov2Family : public VitFamily {
 public:
  const char* name() const override { return "dinov2"; }
  const char* models() const override { return "original DINOv2"; }
  const ConfigForm& config_form() const override { return arguments_form(); }
  std::span<const std::string_view> module_classes() const override { return kDinov2Classes; }

  // Its mask token is of two axes; those of MAE, iBOT and BEiT are of three.
  std::optional<Claim> recognise(const FileEvidence& file) const override {
    const auto prefix = file.prefix_before("patch_embed.proj.weight");
    if (!prefix) return std::nullopt;
    for (const char* of_dinov3 : {"rope_embed.periods", "storage_tokens"})
      if (file.tensors().contains(*prefix + of_dinov3)) return std::nullopt;
    const TensorInfo* mask = file.tensors().find(*prefix + "mask_token");
    if (mask != nullptr && mask->shape.rank() == 2)
      return Claim{*prefix, "a mask_token of two axes"};
    if (file.tensors().contains(*prefix + "register_tokens"))
      return Claim{*prefix, *prefix + "register_tokens"};
    if (file.any_name_contains(kDinov2GatedPart))
      return Claim{*prefix, "names with " + std::string(kDinov2GatedPart)};
    return std::nullopt;
  }
  const Family* refines() const override { return timm_family(); }
  void read_spelling(const FileEvidence& file, Spelling& s) const override {
    if (file.any_name_contains(kDinov2GatedPart)) s.generation |= kDinov2Gated;
    s.block_chunks = find_chunks(file, s.prefix);
  }

  NameTables tables(const Spelling& s) const override {
    return {{kDinov2Rows}, s.generation & kDinov2Gated ? 1 : 0, true};
  }
  bool is_left_out(std::string_view name) const override { return name == "mask_token"; }

  void settle(ConfigDraft& draft, const FileReading& file) const override {
    // There is no configuration of its own that could be read.
    if (file.has_config())
      check_fields(file.files.config,
                   {file.files.config_name, "original DINOv2, whose files stand alone,", {}});
    settle_from_published(draft, *this);
    find_candidates(draft, {this});
    C& c = draft.config;
    draft.settle("layer_norm_epsilon", draft.config.layer_norm_epsilon, kDinov2Epsilon,
                 every_model());
    draft.settle("activation", draft.config.block.mlp.activation,
                 c.block.mlp.kind == MlpKind::plain ? Activation::gelu : Activation::silu,
                 every_model());
    draft.settle("pooling", draft.config.head.pooling, Pooling::class_token, every_model());
    c.position.resize = position_resize(c);
  }
  PositionResize position_resize(const C& c) const override {
    return c.tokens.register_tokens > 0 ? PositionResize::bicubic_antialias
                                        : PositionResize::bicubic_offset;
  }

  const Expressible& expressible() const override { return kDinov2Models; }
  double written_epsilon(const C&) const override { return kDinov2Epsilon; }
  void express_head(ModelEdit& model) const override {
    const C& c = model.config;
    model.require(c.head.pooling == Pooling::class_token && c.num_classes == 0,
                  "a head: only backbones are files of it");
  }
  // Its files have no place for a head, labels and preprocessing.
  std::vector<const Family*> classifier_forms() const override {
    return {hf_dinov2_family(), timm_family()};
  }

 protected:
  void spell(const C& config, Spelling& s) const override {
    if (config.block.mlp.kind != MlpKind::plain) s.generation |= kDinov2Gated;
  }
};

}  // namespace

const Family* dinov2_family() {
  static const Dinov2Family family;
  return &family;
}

}  // namespace vitrail
