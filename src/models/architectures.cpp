#include "models/architectures.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/nearest.h"
#include "models/families/published.h"
#include "models/families/registry.h"

namespace vitrail {
namespace {

using Kind = CompactArchitecture::Kind;

// Rows of the cct, cvt and vit_lite kinds are those of the authors' Compact-Transformers.
constexpr std::array kCompact = {
    CompactArchitecture{"cct_2_3x2", Kind::cct, 128, 2, 2, 1, 2, 3, 32},
    CompactArchitecture{"cct_4_3x2", Kind::cct, 128, 4, 2, 1, 2, 3, 32},
    CompactArchitecture{"cct_6_3x1", Kind::cct, 256, 6, 4, 2, 1, 3, 32},
    CompactArchitecture{"cct_6_3x2", Kind::cct, 256, 6, 4, 2, 2, 3, 32},
    CompactArchitecture{"cct_7_3x1", Kind::cct, 256, 7, 4, 2, 1, 3, 32},
    CompactArchitecture{"cct_7_3x2", Kind::cct, 256, 7, 4, 2, 2, 3, 32},
    CompactArchitecture{"cct_7_7x2", Kind::cct, 256, 7, 4, 2, 2, 7, 224},
    CompactArchitecture{"cct_14_7x2", Kind::cct, 384, 14, 6, 3, 2, 7, 224},
    CompactArchitecture{"cvt_2_4", Kind::cvt, 128, 2, 2, 1, 0, 4, 32},
    CompactArchitecture{"cvt_4_4", Kind::cvt, 128, 4, 2, 1, 0, 4, 32},
    CompactArchitecture{"cvt_6_4", Kind::cvt, 256, 6, 4, 2, 0, 4, 32},
    CompactArchitecture{"cvt_7_4", Kind::cvt, 256, 7, 4, 2, 0, 4, 32},
    CompactArchitecture{"vit_lite_2_4", Kind::vit_lite, 128, 2, 2, 1, 0, 4, 32},
    CompactArchitecture{"vit_lite_4_4", Kind::vit_lite, 128, 4, 2, 1, 0, 4, 32},
    CompactArchitecture{"vit_lite_6_4", Kind::vit_lite, 256, 6, 4, 2, 0, 4, 32},
    CompactArchitecture{"vit_lite_7_4", Kind::vit_lite, 256, 7, 4, 2, 0, 4, 32},
    CompactArchitecture{"vitc_nano_patch4", Kind::vitc_pooled, 64, 4, 2, 2, 2, 3, 28},
    CompactArchitecture{"vitc_nano_patch8", Kind::vitc, 96, 4, 3, 2, 3, 3, 64},
    CompactArchitecture{"vitc_micro_patch4", Kind::vitc_pooled, 192, 6, 3, 2, 2, 3, 32},
    CompactArchitecture{"vit_teaching", Kind::teaching, 64, 4, 4, 2, 0, 4, 28},
};

// All with batch normalisation, as published.
using enum ResidualArchitecture::Stem;
constexpr std::array kResidual = {
    ResidualArchitecture{"resnet20", small, 16, {3, 3, 3, 0}, false, 32},
    ResidualArchitecture{"resnet32", small, 16, {5, 5, 5, 0}, false, 32},
    ResidualArchitecture{"resnet56", small, 16, {9, 9, 9, 0}, false, 32},
    ResidualArchitecture{"resnet18_small", small, 64, {2, 2, 2, 2}, false, 32},
    ResidualArchitecture{"resnet18", large, 64, {2, 2, 2, 2}, false, 224},
    ResidualArchitecture{"resnet34", large, 64, {3, 4, 6, 3}, false, 224},
    ResidualArchitecture{"resnet50", large, 256, {3, 4, 6, 3}, true, 224},
    ResidualArchitecture{"resnet_vit_nano", small, 32, {1, 1, 1, 0}, false, 32, 2, 4},
    ResidualArchitecture{"resnet_vit_micro", pooled, 64, {1, 1, 0, 0}, false, 32, 3, 3, 3},
};

VitConfig residual_config(const ResidualArchitecture& a) {
  VitConfig c;
  c.architecture = a.name;
  c.image_height = c.image_width = a.image;
  c.patch_embedding = PatchEmbedding::resnet;
  c.resnet = {.stem_channels = a.bottleneck ? a.channels / 4 : a.channels,
              .stem_kernel = a.stem == large ? 7 : 3,
              .stem_stride = a.stem == large ? 2 : 1,
              .stem_pool = a.stem != small,
              .blocks = {},
              .channels = {},
              .bottleneck = a.bottleneck,
              .norm = Normalisation::batch};
  int64_t channels = a.channels;
  for (const int64_t blocks : a.blocks) {
    if (blocks == 0) continue;
    c.resnet.channels.push_back(channels);
    c.resnet.blocks.push_back(blocks);
    channels *= a.widening;
  }
  c.embed_dim = c.resnet.channels.back();
  c.depth = a.depth;
  c.block.attention.num_heads = a.num_heads;
  c.block.mlp.hidden = 2 * c.embed_dim;
  c.layer_norm_epsilon = 1e-5;
  c.num_classes = a.image == 224 ? 1000 : 10;
  if (a.depth > 0) return c;
  c.tokens.class_token = false;
  c.position.kind = Position::none;
  c.position.prefix = 0;
  c.final_norm = false;
  c.head.pooling = Pooling::mean;
  return c;
}

void use_compact_blocks(const CompactArchitecture& a, VitConfig& c) {
  c.block.norms = NormPlacement::cct;
  c.layer_norm_epsilon = 1e-5;
  c.block.attention.qkv_bias = false;
  c.block.attention.dropout = 0.1;
  c.drop_path = 0.1;
  if (a.kind == Kind::vit_lite) return;
  c.tokens.class_token = false;
  c.position.prefix = 0;
  c.head.pooling = Pooling::sequence;
  if (a.kind != Kind::cct) return;
  c.patch_embedding = PatchEmbedding::tokenizer;
  c.tokenizer.layers = a.stem_layers;
  c.tokenizer.kernel = a.kernel;
  c.tokenizer.stride = std::max<int64_t>(1, a.kernel / 2 - 1);
  c.tokenizer.padding = std::max<int64_t>(1, a.kernel / 2);
}

VitConfig compact_config(const CompactArchitecture& a) {
  VitConfig c;
  c.architecture = a.name;
  c.image_height = c.image_width = a.image;
  c.embed_dim = a.embed_dim;
  c.depth = a.depth;
  c.block.attention.num_heads = a.num_heads;
  c.block.mlp.hidden = static_cast<int64_t>(static_cast<double>(a.embed_dim) * a.mlp_ratio);
  c.num_classes = 10;
  c.patches.patch_height = c.patches.patch_width = a.kernel;
  switch (a.kind) {
    case Kind::cct:
    case Kind::cvt:
    case Kind::vit_lite:
      use_compact_blocks(a, c);
      break;
    case Kind::vitc:
      c.patch_embedding = PatchEmbedding::tokenizer;
      // Strides take the place of pooling, which costs more than the convolutions themselves.
      c.tokenizer = {.layers = a.stem_layers,
                     .kernel = a.kernel,
                     .stride = 2,
                     .padding = a.kernel / 2,
                     .pool_kernel = 0,
                     .hidden_channels = a.embed_dim / 2,
                     .bias = true};
      break;
    case Kind::vitc_pooled:
      c.patch_embedding = PatchEmbedding::tokenizer;
      // Small pictures afford CCT's stem, which learns in half the epochs. Its first convolution
      // runs at the picture's own size: more than 48 channels there cost as much as a block.
      c.tokenizer = {.layers = a.stem_layers,
                     .kernel = a.kernel,
                     .stride = 1,
                     .padding = a.kernel / 2,
                     .pool_kernel = 3,
                     .hidden_channels = std::min<int64_t>(48, a.embed_dim / 2),
                     .bias = true};
      break;
    case Kind::teaching:
      c.block.norms = NormPlacement::none;
      c.block.mlp.activation = Activation::relu;
      c.tokens.class_token = false;
      c.position.kind = Position::none;
      c.position.prefix = 0;
      c.final_norm = false;
      c.head.pooling = Pooling::mean;
      break;
  }
  return c;
}

}  // namespace

std::span<const CompactArchitecture> compact_architectures() {
  return kCompact;
}

std::span<const ResidualArchitecture> residual_architectures() {
  return kResidual;
}

bool is_architecture(const std::string& name) {
  return std::ranges::find(kCompact, name, &CompactArchitecture::name) != kCompact.end() ||
         std::ranges::find(kResidual, name, &ResidualArchitecture::name) != kResidual.end() ||
         find_published(name) != nullptr || family_of_model(name) != nullptr;
}

std::vector<std::string> architecture_names() {
  std::vector<std::string> names;
  for (const CompactArchitecture& row : kCompact) names.emplace_back(row.name);
  for (const ResidualArchitecture& row : kResidual) names.emplace_back(row.name);
  for (const PublishedArchitecture& row : published_architectures()) names.emplace_back(row.name);
  for (const Family* family : families())
    for (const std::string_view name : family->model_names()) names.emplace_back(name);
  return names;
}

PublishedModel architecture(const std::string& name) {
  const auto found = std::ranges::find(kCompact, name, &CompactArchitecture::name);
  if (found != kCompact.end()) return {compact_config(*found), nullptr};
  const auto residual = std::ranges::find(kResidual, name, &ResidualArchitecture::name);
  if (residual != kResidual.end()) return {residual_config(*residual), nullptr};
  if (const PublishedArchitecture* published = find_published(name))
    return {published_config(*published), published_preprocess(*published)};
  if (const Family* family = family_of_model(name)) return family->published_model(name);
  const std::vector<std::string> known = architecture_names();
  const std::string nearest = did_you_mean(name, known);
  const auto small = std::span(known).first(kCompact.size() + kResidual.size());
  fail("architecture", "there is no '{}'{}", name,
       !nearest.empty()
           ? nearest
           : fmt::format("; small ones are {}; timm's names of published models are known too",
                         fmt::join(small, ", ")));
}

}  // namespace vitrail
