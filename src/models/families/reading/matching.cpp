#include "models/families/reading/matching.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "core/advice.h"
#include "core/error.h"
#include "core/printable.h"
#include "models/families/family.h"
#include "models/families/published.h"
#include "models/families/timm/timm_form.h"
#include "models/field_words.h"

namespace vitrail {
namespace {

using C = VitConfig;

bool fits_positions(const ConfigDraft& draft, const C& p) {
  const int64_t grid = p.grid_height(p.image_height) * p.grid_width(p.image_width);
  return p.position.kind == Position::none || draft.position_rows == grid + p.position.prefix;
}

}  // namespace

void refuse_architecture(const ConfigDraft& draft, const Family& family) {
  if (draft.architecture_said.empty()) return;
  fail(said(Option::settings),
       "architecture names definitions of timm and DINOv2, and the tensors have the names "
       "of {}: its config.json says what it is",
       family.name());
}

void settle_from_published(ConfigDraft& draft, const Family& family) {
  const std::string& name = draft.architecture_said;
  if (name.empty()) return;
  const std::string source = said(Option::settings, "architecture");
  const PublishedArchitecture* published = find_published(name);
  if (published == nullptr || published->family() != family.name()) {
    const char* missing = missing_of_timm(name);
    fail(said(Option::settings), "architecture is '{}', which Vitrail does not {}{}",
         printable(name), missing == nullptr ? "know by name" : "implement: a model with ",
         missing == nullptr ? "" : missing);
  }
  const C model = published_config(*published);
  const std::string found = difference(draft, model);
  if (!found.empty()) fail(said(Option::settings), "architecture={} has {}", name, found);
  settle_from_model(draft, model, source);
  // Where positions are not stored, no tensor says it.
  if (!draft.config.has_position_grid())
    draft.settle_image(model.image_height, model.image_width, source);
  // One architecture, several published weights: which of them this is, its name does not say.
  if (draft.config.in_channels == 3 &&
      (published->flags & PublishedArchitecture::kSeveralWeights) == 0)
    draft.add_preprocess(PreprocessKind::timm, published_preprocess(*published),
                         source + " (of " + name + "'s published weights)");
}

void find_candidates(ConfigDraft& draft, std::initializer_list<const Family*> families) {
  std::vector<std::string> fitting, exact;
  for (const PublishedArchitecture& published : published_architectures()) {
    if (std::ranges::none_of(
            families, [&](const Family* family) { return published.family() == family->name(); }))
      continue;
    const C model = published_config(published);
    if (!difference(draft, model).empty()) continue;
    fitting.emplace_back(published.name);
    if (fits_positions(draft, model)) exact.emplace_back(published.name);
  }
  draft.candidates = exact.empty() ? fitting : exact;
}

std::string difference(const ConfigDraft& draft, const VitConfig& m) {
  const C& c = draft.config;
  std::string found;
  const auto compare = [&](const char* what, auto wanted, auto there) {
    if (found.empty() && wanted != there)
      found = fmt::format("{} {}, and the tensors have {}", what, wanted, there);
  };
  const auto word = [](MlpKind kind) { return kind == MlpKind::plain ? "plain" : "gated"; };
  compare("embed_dim", m.embed_dim, c.embed_dim);
  compare("depth", m.depth, c.depth);
  compare("attention of width", m.embed_dim, draft.attention_width);
  compare("an MLP that is", word(m.block.mlp.kind), word(c.block.mlp.kind));
  // A ratio may have lost its last digits on the way through a table.
  if (std::abs(m.mlp_hidden() - c.mlp_hidden()) > 1)
    compare("an MLP of width", m.mlp_hidden(), c.mlp_hidden());
  compare("patches of height", m.patches.patch_height, c.patches.patch_height);
  compare("patches of width", m.patches.patch_width, c.patches.patch_width);
  compare("patch_bias", m.patches.bias, c.patches.bias);
  compare("qkv_bias", m.block.attention.qkv_bias, c.block.attention.qkv_bias);
  compare("qk_norm", m.block.attention.qk_norm, c.block.attention.qk_norm);
  compare("heads that are mixed:", m.block.attention.mixing != HeadMixingKind::none,
          c.block.attention.mixing != HeadMixingKind::none);
  compare("attention_norm", m.block.attention.output_norm, c.block.attention.output_norm);
  compare("mlp_norm", m.block.mlp.hidden_norm, c.block.mlp.hidden_norm);
  compare("projection_bias", m.block.attention.projection_bias, c.block.attention.projection_bias);
  compare("norms that are", word_of(m.norm), word_of(c.norm));
  compare("patch_output_norm", m.patches.output_norm, c.patches.output_norm);
  constexpr auto kParallel = NormPlacement::parallel;
  compare("attention and MLP in parallel", m.block.norms == kParallel, c.block.norms == kParallel);
  compare("parallel_branches", m.block.branches, c.block.branches);
  compare("differential_attention", m.block.attention.differential, c.block.attention.differential);
  compare("a residual network as stem", m.resnet_projection, c.resnet_projection);
  if (found.empty() && m.resnet_projection && m.resnet != c.resnet)
    found = "a residual network of other sizes than the tensors have";
  compare("layer_scale", m.block.layer_scale, c.block.layer_scale);
  compare("class_token", m.tokens.class_token, c.tokens.class_token);
  compare("distillation_token", m.tokens.distillation_token, c.tokens.distillation_token);
  compare("register_tokens", m.tokens.register_tokens, c.tokens.register_tokens);
  compare("positions", m.position.kind != Position::none, c.position.kind != Position::none);
  compare("pre_norm", m.pre_norm, c.pre_norm);
  compare("final_norm", m.final_norm, c.final_norm);
  compare("fc_norm", m.head.norm, c.head.norm);
  compare("attention pooling", is_map(m.head.pooling), is_map(c.head.pooling));
  if (m.block.attention.qkv_bias)
    compare("key_bias", m.block.attention.key_bias, c.block.attention.key_bias);
  compare("mixed rotary positions", m.rotary.kind == Rotary::mixed, c.rotary.kind == Rotary::mixed);
  compare("stored rotary periods", m.rotary.stored_periods, c.rotary.stored_periods);
  const auto relative = [](RelativePosition kind) { return std::string_view(word_of(kind)); };
  compare("relative_position", relative(m.relative.per_block), relative(c.relative.per_block));
  compare("shared_relative_position", relative(m.relative.shared), relative(c.relative.shared));
  const bool network = c.relative.present() && !c.relative.has_table();
  if (network)
    compare("relative_position_hidden_dim", m.relative.network.hidden_dim,
            c.relative.network.hidden_dim);
  return found;
}

void settle_from_model(ConfigDraft& draft, const VitConfig& model, const std::string& source) {
  draft.config.architecture = model.architecture;
  draft.settle("num_heads", draft.config.block.attention.num_heads, model.block.attention.num_heads,
               source);
  draft.settle("layer_norm_epsilon", draft.config.layer_norm_epsilon, model.layer_norm_epsilon,
               source);
  draft.settle("activation", draft.config.block.mlp.activation, model.block.mlp.activation, source);
  draft.settle("pooling", draft.config.head.pooling, model.head.pooling, source);
  draft.settle("norm_placement", draft.config.block.norms, model.block.norms, source);
  draft.settle("position", draft.config.position.kind, model.position.kind, source);
  draft.settle("norm", draft.config.norm, model.norm, source);
  // A grid of whole patches does not show the pixels behind it.
  if (model.patches.drop_partial && fits_positions(draft, model))
    draft.settle_image(model.image_height, model.image_width, source);
  draft.settle("rotary", draft.config.rotary, model.rotary, source);
  draft.settle("pool_heads", draft.config.head.map.num_heads, model.head.map.num_heads, source);
  if (draft.config.position.kind == Position::learned)
    draft.position_prefix = model.position.prefix;
}

}  // namespace vitrail
