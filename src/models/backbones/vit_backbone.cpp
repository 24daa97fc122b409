#include "models/backbones/vit_backbone.h"

#include <cmath>

#include "autograd/checkpoint.h"
#include "autograd/timing.h"
#include "core/error.h"
#include "nn/position/relative.h"
#include "nn/position/relative_mlp.h"
#include "nn/position/rotary.h"
#include "ops/dropout.h"
#include "ops/elementwise.h"
#include "ops/tokens.h"

namespace vitrail {
namespace {

PatchEmbeddingConfig patch_config(const VisionTransformerConfig& c) {
  return {.channels = c.resnet_projection ? c.resnet.out_channels() : c.in_channels,
          .embed_dim = c.embed_dim,
          .patch_height = c.patch_height,
          .patch_width = c.patch_width,
          .channels_last = c.patch_embedding == PatchEmbedding::linear,
          .bias = c.patch_bias,
          .norms = c.patch_norm,
          .epsilon = c.layer_norm_epsilon,
          .output_norm = c.patch_output_norm,
          .norm = c.norm};
}

ConvTokenizerConfig tokenizer_config(const VisionTransformerConfig& c) {
  return {.channels = c.in_channels,
          .embed_dim = c.embed_dim,
          .hidden_channels = c.tokenizer.hidden_channels,
          .layers = c.tokenizer.layers,
          .kernel = c.tokenizer.kernel,
          .stride = c.tokenizer.stride,
          .padding = c.tokenizer.padding,
          .pool_kernel = c.tokenizer.pool_kernel,
          .pool_stride = c.tokenizer.pool_stride,
          .pool_padding = c.tokenizer.pool_padding,
          .bias = c.tokenizer.bias,
          .activation = c.tokenizer.activation};
}

PositionConfig position_config(const VisionTransformerConfig& c) {
  return {
      .kind = c.position,
      .embed_dim = c.embed_dim,
      .prefix = c.position_prefix,
      .grid_height =
          c.position_grid_height > 0 ? c.position_grid_height : c.grid_height(c.image_height),
      .grid_width = c.position_grid_width > 0 ? c.position_grid_width : c.grid_width(c.image_width),
      .resize = c.position_resize};
}

// Of differential attention in the block of this number, from 0 (Ye et al. 2024, section 2.1).
double first_lambda(int64_t index) {
  return 0.8 - 0.6 * std::exp(-0.3 * static_cast<double>(index));
}

BlockConfig block_config(const VisionTransformerConfig& c, int64_t index) {
  // Stochastic depth grows linearly with depth (Huang et al. 2016, section 3), or is the same in
  // every block.
  const double depth_share = c.drop_path_constant ? 1.0
                             : c.depth > 1
                                 ? static_cast<double>(index) / static_cast<double>(c.depth - 1)
                                 : 0.0;
  return {.attention = {.embed_dim = c.embed_dim,
                        .num_heads = c.num_heads,
                        .head_dim = c.head_size(),
                        .qkv_bias = c.qkv_bias,
                        .projection = c.attention_projection,
                        .projection_bias = c.projection_bias,
                        .qk_norm = c.qk_norm,
                        .qk_norm_kind = c.norm == NormKind::layer ? kernels::HeadNormKind::layer
                                                                  : kernels::HeadNormKind::rms,
                        .output_norm = c.attention_norm,
                        .norm = c.norm,
                        .mixing = c.head_mixing,
                        .epsilon = c.layer_norm_epsilon,
                        .dropout = c.attention_dropout,
                        .key_bias = c.key_bias,
                        .differential = c.differential_attention,
                        .first_lambda = first_lambda(index)},
          .mlp = {.inputs = c.embed_dim,
                  .hidden = c.mlp_hidden(),
                  .kind = c.mlp,
                  .activation = c.activation,
                  .bias = c.mlp_bias,
                  .output_bias = c.mlp_output_bias,
                  .hidden_norm = c.mlp_norm,
                  .norm = c.norm,
                  .epsilon = c.layer_norm_epsilon,
                  .dropout = c.dropout},
          .norms = c.norm_placement,
          .norm = c.norm,
          .epsilon = c.layer_norm_epsilon,
          .layer_scale = c.layer_scale,
          .layer_scale_init = c.layer_scale_init,
          .dropout = c.dropout,
          .drop_path = c.drop_path * depth_share,
          .branches = c.parallel_branches};
}

std::unique_ptr<PositionStrategy> rotary_positions(const Scope& scope,
                                                   const VisionTransformerConfig& c) {
  const RotarySettings& r = c.rotary;
  if (r.kind == Rotary::mixed)
    return std::make_unique<MixedRotary>(scope, MixedRotaryConfig{.depth = c.depth,
                                                                  .num_heads = c.num_heads,
                                                                  .head_dim = c.head_size(),
                                                                  .base = r.base,
                                                                  .column_first = r.column_first});
  const AxialRotaryConfig axial{.head_dim = c.head_size(),
                                .base = r.base,
                                .coordinates = r.coordinates,
                                .offset = r.offset,
                                .reference_height = r.reference_height,
                                .reference_width = r.reference_width,
                                .interleaved = r.interleaved,
                                .column_first = r.column_first,
                                .frequencies = {}};
  return r.stored_periods ? std::make_unique<AxialRotary>(scope, axial)
                          : std::make_unique<AxialRotary>(axial);
}

// `table_scope` is of a table's parameter, `mlp_scope` of a network's. Null: there are none.
std::unique_ptr<PositionStrategy> relative_positions(RelativePosition kind,
                                                     const VisionTransformerConfig& c,
                                                     const Scope& table_scope,
                                                     const Scope& mlp_scope) {
  if (kind == RelativePosition::none) return nullptr;
  const PositionConfig grid = position_config(c);
  if (kind == RelativePosition::table)
    return std::make_unique<RelativePositions>(
        table_scope, RelativePositionConfig{.num_heads = c.num_heads,
                                            .grid_height = grid.grid_height,
                                            .grid_width = grid.grid_width,
                                            .prefix = c.prefix_tokens(),
                                            .prefix_has_entries = c.relative.prefix_entries,
                                            .resize = c.relative.resize});
  return std::make_unique<RelativeMlpPositions>(
      mlp_scope, RelativeMlpConfig{.num_heads = c.num_heads,
                                   .hidden_dim = c.relative.hidden_dim,
                                   .prefix = c.prefix_tokens(),
                                   .kind = kind});
}

}  // namespace

VitBackbone::VitBackbone(const Scope& root, const VisionTransformerConfig& config)
    : config_(config) {
  const VisionTransformerConfig& c = config_;
  using Section = ParameterPlace::Section;
  constexpr auto kToken = ParameterRole::Kind::token;
  const Scope stem = root.in(Section::stem);
  const int64_t dim = c.embed_dim;
  const Initializer token = Initializer::truncated_normal(0.02);
  if (c.class_token) cls_token_ = &stem.parameter("cls_token", {1, 1, dim}, token, kToken);
  if (c.distillation_token) dist_token_ = &stem.parameter("dist_token", {1, 1, dim}, token, kToken);
  if (c.register_tokens > 0)
    reg_token_ = &stem.parameter("reg_token", {1, c.register_tokens, dim}, token, kToken);
  position_.emplace(stem, position_config(c));
  add_positions(stem);
  if (c.patch_embedding == PatchEmbedding::tokenizer)
    tokenizer_.emplace(stem.child("tokenizer"), tokenizer_config(c));
  else if (c.patch_embedding == PatchEmbedding::resnet)
    resnet_.emplace(stem.child("patch_embed").child("backbone"), c.resnet, c.in_channels,
                    c.layer_norm_epsilon);
  else
    patch_embed_.emplace(stem.child("patch_embed"), patch_config(c));
  if (c.resnet_projection) map_projection_.emplace(stem.child("patch_embed"), patch_config(c));
  if (c.pre_norm) norm_pre_.emplace(stem.child("norm_pre"), dim, c.layer_norm_epsilon, c.norm);
  for (int64_t i = 0; i < c.depth; ++i) {
    const Scope block = root.child("blocks").child(i).in_block(i);
    blocks_.push_back(std::make_unique<Block>(block, block_config(c, i)));
    const Scope attention = block.child("attn");
    if (auto own =
            relative_positions(c.relative.per_block, c, attention, attention.child("rel_pos")))
      block_positions_.push_back(std::move(own));
  }
  if (c.final_norm)
    norm_.emplace(root.in(Section::final_norm).child("norm"), dim, c.layer_norm_epsilon, c.norm);
}

void VitBackbone::add_positions(const Scope& stem) {
  if (config_.rotary.kind != Rotary::none)
    shared_positions_.push_back(rotary_positions(stem.child("rope"), config_));
  if (auto shared = relative_positions(config_.relative.shared, config_, stem.child("rel_pos_bias"),
                                       stem.child("shared_rel_pos")))
    shared_positions_.push_back(std::move(shared));
}

std::vector<TokenLayout> VitBackbone::layouts(int64_t picture_height, int64_t picture_width) const {
  const VisionTransformerConfig& c = config_;
  TokenLayout layout{.class_tokens = c.class_token ? 1 : 0,
                     .distillation_tokens = c.distillation_token ? 1 : 0,
                     .register_tokens = c.register_tokens,
                     .grid_height = c.grid_height(picture_height),
                     .grid_width = c.grid_width(picture_width),
                     .patch_height = c.patch_height,
                     .patch_width = c.patch_width};
  if (c.has_feature_map()) {
    layout.patch_height = picture_height / layout.grid_height;
    layout.patch_width = picture_width / layout.grid_width;
    layout.of_feature_map = true;
  }
  return {layout};
}

Variable VitBackbone::embed(const Context& context, const Variable& images,
                            const TokenLayout& layout) const {
  Variable patches = patch_embed_ ? patch_embed_->forward(context, images)
                     : tokenizer_ ? tokenizer_->forward(context, images)
                     : map_projection_
                         ? map_projection_->forward(context, resnet_->map(context, images))
                         : resnet_->forward(context, images);
  context.observe("patch_embed", patches);
  const Timed timed(context, {"position", "pos_embed"});
  std::vector<Variable> prefix;
  for (const Parameter* token : {cls_token_, dist_token_, reg_token_})
    if (token != nullptr) prefix.push_back(token->variable());

  const auto with_prefix = [&](const Variable& tokens) {
    if (prefix.empty()) return tokens;
    std::vector<Variable> parts = prefix;
    parts.push_back(tokens);
    return concatenate(context, parts, 1);
  };
  Variable tokens;
  if (!position_->present()) {
    tokens = with_prefix(patches);
  } else {
    const Variable table = position_->table(context, layout);
    const int64_t covered = position_->prefix(), total = layout.prefix();
    if (covered == total) {
      tokens = add_broadcast(context, with_prefix(patches), table);
    } else {
      // Positions for the first `covered` prefix tokens and for the patches; registers have none.
      patches = add_broadcast(context, patches,
                              slice(context, table, 1, covered, covered + layout.patches()));
      tokens = with_prefix(patches);
      if (covered > 0) {
        const Variable first = add_broadcast(context, slice(context, tokens, 1, 0, covered),
                                             slice(context, table, 1, 0, covered));
        const std::vector<Variable> parts{first,
                                          slice(context, tokens, 1, covered, tokens.size(1))};
        tokens = concatenate(context, parts, 1);
      }
    }
  }
  tokens = dropout(context, tokens, config_.position_dropout, "pos_drop");
  return norm_pre_ ? norm_pre_->forward(context, tokens) : tokens;
}

Variable VitBackbone::run_block(const Context& context, size_t index, Variable x,
                                const TokenLayout& layout) const {
  const auto run = [this, index, layout](const Context& inner, Variable input) {
    if (shared_positions_.empty() && block_positions_.empty())
      return blocks_[index]->forward(inner, std::move(input));
    AttentionOptions terms;
    for (const auto& strategy : shared_positions_)
      strategy->describe(inner, layout, static_cast<int64_t>(index), &terms);
    if (!block_positions_.empty())
      block_positions_[index]->describe(inner, layout, static_cast<int64_t>(index), &terms);
    return blocks_[index]->forward(inner, std::move(input), &terms);
  };
  return context.activation_checkpointing ? checkpoint(context, x, run)
                                          : run(context, std::move(x));
}

Variable VitBackbone::encode(const Context& context, Variable tokens,
                             const TokenLayout& layout) const {
  for (size_t i = 0; i < blocks_.size(); ++i) {
    tokens = run_block(context, i, std::move(tokens), layout);
    context.observe(blocks_[i]->path(), tokens);
  }
  if (norm_) tokens = norm_->forward(context, tokens);
  context.observe("norm", tokens);
  return tokens;
}

std::vector<Feature> VitBackbone::forward(const Context& context, const Variable& images) const {
  check(images.shape().rank() == 4 && images.size(1) == config_.in_channels, "vit",
        "this model takes [B, {}, H, W], not {}", config_.in_channels, images.shape().str());
  Feature feature{.tokens = {}, .layout = layout(images.size(2), images.size(3))};
  Variable tokens = embed(context, images, feature.layout);
  context.observe("tokens", tokens);
  feature.tokens = encode(context, std::move(tokens), feature.layout);
  return {std::move(feature)};
}

std::vector<BlockPlace> VitBackbone::blocks() const {
  std::vector<BlockPlace> places;
  for (const auto& block : blocks_) places.push_back({.path = block->path()});
  return places;
}

std::vector<AttentionLayer> VitBackbone::attentions() const {
  std::vector<AttentionLayer> layers;
  for (const auto& block : blocks_)
    for (const Attention* attention : block->attentions())
      layers.push_back({.path = attention->path(),
                        .heads = attention->heads(),
                        .beside_another = config_.parallel_branches > 1,
                        .differential = config_.differential_attention});
  return layers;
}

void VitBackbone::visit_linears(const VisitLinear& visit) {
  for (const auto& block : blocks_) block->visit_linears(visit);
}

void VitBackbone::count(CostCounter& counter, int64_t picture_height, int64_t picture_width) const {
  const TokenLayout tokens = layout(picture_height, picture_width);
  if (tokenizer_)
    counter.add(tokenizer_->cost(picture_height, picture_width));
  else if (resnet_)
    resnet_->count(counter, picture_height, picture_width);
  else
    counter.add(patch_embed_->cost(tokens.patches()));
  if (map_projection_) counter.add(map_projection_->cost(tokens.patches()));
  for (const auto& block : blocks_) block->count(counter, tokens.tokens());
}

}  // namespace vitrail
