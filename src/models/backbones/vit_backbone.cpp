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

// Each part with what it has from its surroundings.

PatchEmbeddingConfig patch_config(const VitConfig& c) {
  PatchEmbeddingConfig patches = c.patches;
  patches.channels = c.resnet_projection ? c.resnet.out_channels() : c.in_channels;
  patches.embed_dim = c.embed_dim;
  patches.channels_last = c.patch_embedding == PatchEmbedding::linear;
  patches.epsilon = c.layer_norm_epsilon;
  patches.norm = c.norm;
  return patches;
}

ConvTokenizerConfig tokenizer_config(const VitConfig& c) {
  ConvTokenizerConfig tokenizer = c.tokenizer;
  tokenizer.channels = c.in_channels;
  tokenizer.embed_dim = c.embed_dim;
  return tokenizer;
}

PositionConfig position_config(const VitConfig& c) {
  PositionConfig position = c.position;
  position.embed_dim = c.embed_dim;
  if (position.grid_height == 0) position.grid_height = c.grid_height(c.image_height);
  if (position.grid_width == 0) position.grid_width = c.grid_width(c.image_width);
  return position;
}

// Of differential attention in the block of this number, from 0 (Ye et al. 2024, section 2.1).
double first_lambda(int64_t index) {
  return 0.8 - 0.6 * std::exp(-0.3 * static_cast<double>(index));
}

BlockConfig block_config(const VitConfig& c, int64_t index) {
  BlockConfig block = c.block;
  block.attention.embed_dim = block.mlp.inputs = c.embed_dim;
  block.attention.head_dim = c.head_size();
  block.attention.qk_norm_kind =
      c.norm == NormKind::layer ? kernels::HeadNormKind::layer : kernels::HeadNormKind::rms;
  block.attention.first_lambda = first_lambda(index);
  block.mlp.hidden = c.mlp_hidden();
  block.mlp.dropout = block.dropout;
  block.norm = block.attention.norm = block.mlp.norm = c.norm;
  block.epsilon = block.attention.epsilon = block.mlp.epsilon = c.layer_norm_epsilon;
  // Stochastic depth grows linearly with depth (Huang et al. 2016, section 3), or is the same in
  // every block.
  const double depth_share = c.drop_path_constant ? 1.0
                             : c.depth > 1
                                 ? static_cast<double>(index) / static_cast<double>(c.depth - 1)
                                 : 0.0;
  block.drop_path = c.drop_path * depth_share;
  return block;
}

std::unique_ptr<PositionStrategy> rotary_positions(const Scope& scope, const VitConfig& c) {
  if (c.rotary.kind == Rotary::mixed)
    return std::make_unique<MixedRotary>(
        scope, c.rotary,
        MixedRotarySize{
            .depth = c.depth, .num_heads = c.block.attention.num_heads, .head_dim = c.head_size()});
  return c.rotary.stored_periods ? std::make_unique<AxialRotary>(scope, c.rotary, c.head_size())
                                 : std::make_unique<AxialRotary>(c.rotary, c.head_size());
}

// `table_scope` is of a table's parameter, `mlp_scope` of a network's. Null: there are none.
std::unique_ptr<PositionStrategy> relative_positions(RelativePosition kind, const VitConfig& c,
                                                     const Scope& table_scope,
                                                     const Scope& mlp_scope) {
  if (kind == RelativePosition::none) return nullptr;
  if (kind == RelativePosition::table) {
    const PositionConfig grid = position_config(c);
    RelativePositionConfig table = c.relative.table;
    table.num_heads = c.block.attention.num_heads;
    table.grid_height = grid.grid_height;
    table.grid_width = grid.grid_width;
    table.prefix = c.prefix_tokens();
    return std::make_unique<RelativePositions>(table_scope, table);
  }
  RelativeMlpConfig network = c.relative.network;
  network.num_heads = c.block.attention.num_heads;
  network.prefix = c.prefix_tokens();
  network.kind = kind;
  return std::make_unique<RelativeMlpPositions>(mlp_scope, network);
}

}  // namespace

VitBackbone::VitBackbone(const Scope& root, const VitConfig& config) : config_(config) {
  const VitConfig& c = config_;
  using Section = ParameterPlace::Section;
  constexpr auto kToken = ParameterRole::Kind::token;
  const Scope stem = root.in(Section::stem);
  const int64_t dim = c.embed_dim;
  const Initializer token = Initializer::truncated_normal(0.02);
  if (c.tokens.class_token) cls_token_ = &stem.parameter("cls_token", {1, 1, dim}, token, kToken);
  if (c.tokens.distillation_token)
    dist_token_ = &stem.parameter("dist_token", {1, 1, dim}, token, kToken);
  if (c.tokens.register_tokens > 0)
    reg_token_ = &stem.parameter("reg_token", {1, c.tokens.register_tokens, dim}, token, kToken);
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
  const VitConfig& c = config_;
  TokenLayout layout{.class_tokens = c.tokens.class_token ? 1 : 0,
                     .distillation_tokens = c.tokens.distillation_token ? 1 : 0,
                     .register_tokens = c.tokens.register_tokens,
                     .grid_height = c.grid_height(picture_height),
                     .grid_width = c.grid_width(picture_width),
                     .patch_height = c.patches.patch_height,
                     .patch_width = c.patches.patch_width};
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
  tokens = dropout(context, tokens, config_.position.dropout, "pos_drop");
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
                        .beside_another = config_.block.branches > 1,
                        .differential = config_.block.attention.differential});
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
