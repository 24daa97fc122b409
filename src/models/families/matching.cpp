// The published architectures beside a file: what the one that is named fixes, and which its names
// and shapes fit. Weights of several have the same shapes, so a fit alone settles nothing.
#include "core/advice.h"
#include "core/error.h"
#include "core/printable.h"
#include "models/families/config_kind.h"
#include "models/families/draft.h"
#include "models/families/published.h"
#include "models/families/timm_definition.h"

namespace vitrail {
namespace {

using C = VisionTransformerConfig;

bool is_dinov2(const PublishedArchitecture& published) {
  return published.name.starts_with("dinov2_");
}

bool fits_positions(const ConfigDraft& draft, const C& p) {
  const int64_t grid = (p.image_height / p.patch_height) * (p.image_width / p.patch_width);
  return p.position == Position::none || draft.position_rows == grid + p.position_prefix;
}

}  // namespace

void settle_from_architecture(ConfigDraft& draft, const Spelling& spelling) {
  const std::string& name = draft.architecture_said;
  if (name.empty()) return;
  const std::string source = said(Option::settings, "architecture");
  if (spelling.family == Family::vit_pytorch) {
    if (name != "vit")
      fail(said(Option::settings), "architecture is '{}'; of vit-pytorch's models vit is known",
           printable(name));
    draft.open.erase("architecture");
    draft.sources.push_back({"architecture", name, source});
    return;
  }
  if (spelling.family != Family::timm && spelling.family != Family::dinov2)
    fail(said(Option::settings),
         "architecture names definitions of timm and DINOv2, and the tensors have the names "
         "of {}: its config.json says what it is",
         name_of(spelling.family));
  const PublishedArchitecture* published = find_published(name);
  if (published == nullptr || is_dinov2(*published) != (spelling.family == Family::dinov2)) {
    const char* missing = missing_of_timm(name);
    fail(said(Option::settings), "architecture is '{}', which Vitrail does not {}{}",
         printable(name), missing == nullptr ? "know by name" : "implement: a model with ",
         missing == nullptr ? "" : missing);
  }
  const C model = published_config(*published);
  const std::string found = difference(draft, model);
  if (!found.empty()) fail(said(Option::settings), "architecture={} has {}", name, found);
  settle_from_model(draft, model, source);
  // One architecture, several published weights: which of them this is, its name does not say.
  if (draft.config.in_channels == 3 &&
      (published->flags & PublishedArchitecture::kSeveralWeights) == 0)
    draft.add_preprocess(PreprocessKind::timm, published_preprocess(*published),
                         source + " (of " + name + "'s published weights)");
}

void find_candidates(ConfigDraft& draft, Family family) {
  std::vector<std::string> fitting, exact;
  for (const PublishedArchitecture& published : published_architectures()) {
    if (is_dinov2(published) != (family == Family::dinov2)) continue;
    const C model = published_config(published);
    if (!difference(draft, model).empty()) continue;
    fitting.emplace_back(published.name);
    if (fits_positions(draft, model)) exact.emplace_back(published.name);
  }
  draft.candidates = exact.empty() ? fitting : exact;
}

void settle_plain_structure(ConfigDraft& draft) {
  const C& c = draft.config;
  // ResPostBlock's tensors are a Block's: of timm's definitions with them, all look like this.
  const bool like_res_post = !c.class_token && c.register_tokens == 0 && c.fc_norm && !c.qkv_bias &&
                             !c.layer_scale && !c.pre_norm;
  if (!like_res_post)
    draft.settle("norm_placement", &C::norm_placement, NormPlacement::pre, "every plain ViT");
  // Rotary positions leave no tensor. Definitions with them store no others, or are the perception
  // encoders, whose tensors are of no plain ViT of timm.
  const bool like_perception =
      c.pre_norm && c.class_token && (!(c.final_norm || c.fc_norm) || is_map(c.pooling));
  if (c.position != Position::none && !like_perception)
    draft.settle("position", &C::position, Position::learned, "names");
}

}  // namespace vitrail
