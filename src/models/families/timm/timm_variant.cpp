#include "models/families/timm/timm_variant.h"

#include "models/families/published.h"
#include "models/families/reading/matching.h"
#include "models/families/reading/sides.h"
#include "models/families/recognise.h"
#include "models/families/registry.h"
#include "models/families/timm/timm.h"

namespace vitrail {
namespace {

using C = VitConfig;

}  // namespace

bool TimmVariant::suits(const NetworkConfig& config) const {
  const auto* vit = config.get_if<C>();
  return vit != nullptr && is_own(*vit);
}

const ConfigForm& TimmVariant::config_form() const {
  return timm_form();
}

const Family* TimmVariant::refines() const {
  return timm_family();
}

// The architecture says whose a file is where it is known: tensors alone may be those of another
// family's model that computes something else.
std::optional<Claim> TimmVariant::recognise(const FileEvidence& file) const {
  const auto prefix = file.prefix_before("patch_embed.proj.weight");
  if (!prefix) return std::nullopt;
  if (const PublishedArchitecture* published = find_published(file.architecture())) {
    if (published->family() != name()) return std::nullopt;
    return Claim{*prefix, "the architecture " + file.architecture(), true};
  }
  const std::string found = mark(file, *prefix);
  if (found.empty()) return std::nullopt;
  return Claim{*prefix, found, file.has_form(timm_form())};
}

void TimmVariant::settle(ConfigDraft& draft, const FileReading& file) const {
  settle_always(draft);
  if (file.has_config()) {
    settle_from_timm(draft, file.files.config, file.files.config_name, constructor_);
  } else {
    settle_from_published(draft, *this);
    find_candidates(draft, {this});
  }
  settle_by_names(draft);
}

std::vector<int64_t> TimmVariant::position_prefixes(const C& c) const {
  if (c.prefix_tokens() == 0) return {0};
  return {c.prefix_tokens(), 0};
}

// timm compares a picture with the model's own size alone, whether patches fill it or not.
void TimmVariant::settle_partial_patches(ConfigDraft& draft) const {
  C& c = draft.config;
  if (!draft.is_open("image_size") && c.patches.patch_height > 0 && c.patches.patch_width > 0)
    c.patches.drop_partial =
        c.image_height % c.patches.patch_height != 0 || c.image_width % c.patches.patch_width != 0;
}

nlohmann::json TimmVariant::config_for(const NetworkConfig& config,
                                       const ConversionOptions& options,
                                       std::vector<std::string>& folds) const {
  const C& c = as_vit(config);
  Written own = written(c);
  return timm_config_json({.architecture = std::move(own.architecture),
                           .arguments = std::move(own.arguments),
                           .global_pool = timm_pool_name(c.head.pooling),
                           .features = c.embed_dim},
                          c, options, folds);
}

nlohmann::json common_timm_arguments(const C& c) {
  return {{"img_size", sides_to_json(c.image_height, c.image_width)},
          {"patch_size", sides_to_json(c.patches.patch_height, c.patches.patch_width)},
          {"in_chans", c.in_channels},
          {"num_classes", c.num_classes},
          {"global_pool", timm_pool_name(c.head.pooling)},
          {"embed_dim", c.embed_dim},
          {"depth", c.depth},
          {"num_heads", c.block.attention.num_heads},
          {"mlp_ratio", timm_ratio(c.mlp_hidden(), c.embed_dim)},
          {"qkv_bias", c.block.attention.qkv_bias}};
}

}  // namespace vitrail
