#include "models/families/published.h"

#include <algorithm>
#include <array>

#include "models/families/timm/timm_network.h"

namespace vitrail {
namespace {

void add_structure(VitConfig& config, const PublishedStructure& s) {
  if (!s.positions) {
    config.position.kind = Position::none;
    config.position.prefix = 0;
  }
  config.block.attention.key_bias = s.key_bias;
  config.rotary = s.rotary;
  config.relative = s.relative;
  if (s.split_gate) config.block.mlp.kind = MlpKind::gated_split;
  config.block.mlp.hidden_norm = s.mlp_norm;
  config.block.attention.output_norm = s.attention_norm;
  if (!is_map(config.head.pooling) || s.pool_heads == 0) return;
  config.head.map.num_heads = s.pool_heads;
  config.head.map.mlp_hidden_dim = 4 * config.embed_dim;
}

// The residual networks of timm's hybrids: Big Transfer's with standardised filters and GroupNorm,
// and ResNet-D with batch normalisation.
void set_stem(VitConfig& config, PublishedArchitecture::Stem stem) {
  using P = PublishedArchitecture;
  if (stem == P::kPatches) return;
  config.patch_embedding = PatchEmbedding::resnet;
  config.resnet_projection = true;
  ResNetConfig& r = config.resnet;
  const bool bit = stem <= P::kBit50Long;
  r.bottleneck = true;
  r.norm = bit ? Normalisation::group : Normalisation::batch;
  r.norm_epsilon = 1e-5;
  r.standardised = r.same_padding = bit;
  r.deep_stem = r.average_shortcut = !bit;
  if (!bit) r.stem_kernel = 3;
  switch (stem) {
    case P::kPatches:
    case P::kBitStem:
      r.blocks = {};
      break;
    case P::kBit26:
    case P::kD26:
      r.blocks = {2, 2, 2, 2};
      break;
    case P::kBit50:
      r.blocks = {3, 4, 9};
      break;
    case P::kD50Short:
      r.blocks = {3, 4, 6};
      break;
    case P::kBit50Long:
    case P::kD50:
      r.blocks = {3, 4, 6, 3};
      break;
  }
  r.channels = {256, 512, 1024, 2048};
  r.channels.resize(r.blocks.size());
}

}  // namespace

VitConfig published_config(const PublishedArchitecture& a) {
  using P = PublishedArchitecture;
  const auto has = [&](P::Flag flag) { return (a.flags & flag) != 0; };
  VitConfig config;
  config.architecture = a.name;
  config.image_height = config.image_width = a.size.image;
  config.patches.patch_height = config.patches.patch_width = a.size.patch;
  config.patches.bias = !has(P::kPreNorm);
  config.embed_dim = a.size.embed_dim;
  config.depth = a.size.depth;
  config.block.attention.num_heads = a.size.num_heads;
  config.block.mlp.hidden = a.mlp_hidden;
  config.block.mlp.kind = has(P::kGated)        ? MlpKind::gated_packed
                          : has(P::kGatedSplit) ? MlpKind::gated_split
                                                : MlpKind::plain;
  config.block.mlp.activation = a.activation;
  config.block.attention.qkv_bias = !has(P::kNoQkvBias);
  config.block.norms = has(P::kResPost) ? NormPlacement::res_post : NormPlacement::pre;
  config.layer_norm_epsilon = has(P::kEpsilon5) ? 1e-5 : 1e-6;
  config.block.layer_scale = has(P::kLayerScale);
  config.tokens.class_token = !has(P::kNoClass);
  config.tokens.distillation_token = has(P::kDistilled);
  config.tokens.register_tokens = a.registers;
  // Original DINOv2 gives the class token a position and its registers none.
  config.position.prefix = has(P::kNoPrefixPosition) ? 0
                           : a.family() == "dinov2"  ? 1
                                                     : config.prefix_tokens();
  config.position.resize =
      has(P::kOffsetResize) ? PositionResize::bicubic_offset : PositionResize::bicubic_antialias;
  config.pre_norm = has(P::kPreNorm);
  config.norm = has(P::kRmsNorm) ? NormKind::root_mean_square : NormKind::layer;
  config.patches.output_norm = has(P::kPatchOutputNorm);
  config.block.attention.output_norm = config.block.mlp.hidden_norm = has(P::kInnerNorms);
  config.block.attention.projection_bias = config.block.mlp.bias = !has(P::kNoProjectionBias);
  config.block.attention.qk_norm = has(P::kQkNorm);
  config.block.attention.differential = has(P::kDifferential);
  if (has(P::kParallel)) config.block.norms = NormPlacement::parallel;
  // One bias for the sum of both.
  config.block.mlp.output_bias = !(has(P::kParallel) && has(P::kDifferential));
  config.block.branches = a.branches;
  set_stem(config, a.stem);
  // timm's pictures may have pixels behind the last whole patch.
  config.patches.drop_partial = a.stem == P::kPatches && a.size.image % a.size.patch != 0;
  config.head.norm = has(P::kFcNorm);
  config.final_norm = !has(P::kFcNorm) && !has(P::kNoFinalNorm);
  config.head.pooling = a.pooling;
  config.num_classes = a.num_classes;
  if (a.structure != nullptr) add_structure(config, *a.structure);
  return config;
}

nlohmann::json published_preprocess(const PublishedArchitecture& a) {
  using P = PublishedArchitecture;
  static constexpr std::array kMoments = {TimmPreprocess::half, TimmPreprocess::imagenet,
                                          TimmPreprocess::openai, TimmPreprocess::unit};
  return timm_preprocess({.side = a.picture > 0 ? a.picture : a.size.image,
                          .crop_permille = a.crop_permille,
                          .moments = kMoments[a.statistics],
                          .interpolation = a.flags & P::kBilinear ? "bilinear" : "bicubic",
                          .crop_mode = a.flags & P::kSquash ? "squash" : "center"});
}

const PublishedArchitecture* find_published(std::string_view name) {
  const auto all = published_architectures();
  const auto found = std::ranges::find(all, name, &PublishedArchitecture::name);
  return found == all.end() ? nullptr : &*found;
}

}  // namespace vitrail
