#include "models/backbones/swin.h"

#include <algorithm>

#include "autograd/checkpoint.h"
#include "core/error.h"
#include "models/classifier.h"
#include "nn/position/continuous.h"
#include "nn/position/relative.h"
#include "ops/dropout.h"
#include "ops/layout.h"
#include "ops/tokens.h"

namespace vitrail {
namespace {

// Of the norms that the libraries make without naming an epsilon: torch's own.
constexpr double kTorchEpsilon = 1e-5;
// What is added to scores between the parts of a shifted window. transformers' version 2 adds it
// twice.
constexpr float kPenalty = -100, kTwicePenalty = -200;

bool pads_pictures(const SwinConfig& c) {
  return c.window_rule == WindowRule::transformers;
}

BlockConfig swin_block(const SwinConfig& c, size_t stage, double drop_path) {
  const int64_t dim = c.width(stage);
  const bool second = c.version == 2;
  return {.attention = {.embed_dim = dim,
                        .num_heads = c.num_heads[stage],
                        .head_dim = dim / c.num_heads[stage],
                        .qkv_bias = c.qkv_bias,
                        .qk_norm = second,
                        .qk_norm_kind = kernels::HeadNormKind::l2,
                        .epsilon = c.layer_norm_epsilon,
                        .dropout = c.attention_dropout,
                        .key_bias = !second},
          .mlp = {.inputs = dim,
                  .hidden = static_cast<int64_t>(static_cast<double>(dim) * c.mlp_ratio),
                  .activation = c.activation,
                  .epsilon = c.layer_norm_epsilon,
                  .dropout = c.dropout},
          .norms = second ? NormPlacement::res_post : NormPlacement::pre,
          .epsilon = c.layer_norm_epsilon,
          .dropout = c.dropout,
          .drop_path = drop_path};
}

std::unique_ptr<PositionStrategy> positions(const Scope& attention, const SwinConfig& c,
                                            size_t stage) {
  if (c.version == 2)
    return std::make_unique<ContinuousPositions>(
        attention, ContinuousPositionConfig{.num_heads = c.num_heads[stage],
                                            .pretrained_window = c.pretrained_windows[stage]});
  const GridSize window = c.table_window(stage);
  return std::make_unique<RelativePositions>(
      attention, RelativePositionConfig{.num_heads = c.num_heads[stage],
                                        .grid_height = window.height,
                                        .grid_width = window.width,
                                        .resize = pads_pictures(c) ? RelativeResize::refused
                                                                   : RelativeResize::geometric});
}

WindowGrid window_grid(const SwinConfig& c, const TokenLayout& layout, const GridSize& window,
                       const GridSize& shift) {
  return {.grid_height = layout.grid_height,
          .grid_width = layout.grid_width,
          .window_height = window.height,
          .window_width = window.width,
          .shift_height = shift.height,
          .shift_width = shift.width,
          .rolls_first = !pads_pictures(c),
          .penalty = pads_pictures(c) && c.version == 2 ? kTwicePenalty : kPenalty};
}

}  // namespace

SwinBackbone::SwinBackbone(const Scope& root, const SwinConfig& config)
    : config_(config),
      patch_embed_(root.in(ParameterPlace::Section::stem).child("patch_embed"),
                   {.channels = config.in_channels,
                    .embed_dim = config.embed_dim,
                    .patch_height = config.patch_size,
                    .patch_width = config.patch_size}),
      patch_norm_(root.in(ParameterPlace::Section::stem).child("patch_embed").child("norm"),
                  config.embed_dim, kTorchEpsilon),
      norm_(root.in(ParameterPlace::Section::final_norm).child("norm"),
            config.width(config.stages() - 1), config.layer_norm_epsilon) {
  const SwinConfig& c = config_;
  int64_t index = 0;  // of a block, over all stages
  for (size_t i = 0; i < c.stages(); ++i) {
    const Scope below = root.child("layers").child(static_cast<int64_t>(i));
    Stage& stage = *stages_.emplace_back(std::make_unique<Stage>());
    stage.path = below.path();
    if (i > 0)
      stage.downsample.emplace(below.in_block(index).child("downsample"),
                               PatchMergingConfig{.inputs = c.width(i - 1),
                                                  .outputs = c.width(i),
                                                  .norm_first = c.version == 1,
                                                  .epsilon = kTorchEpsilon});
    for (int64_t j = 0; j < c.depths[i]; ++j, ++index) {
      const Scope scope = below.child("blocks").child(j).in_block(index);
      SwinBlock& block = stage.blocks.emplace_back();
      block.position = positions(scope.child("attn"), c, i);
      block.block = std::make_unique<Block>(
          scope, swin_block(c, i, drop_path_of_block(c.drop_path, index, c.num_blocks())));
    }
  }
}

SwinBackbone::~SwinBackbone() = default;

std::vector<TokenLayout> SwinBackbone::layouts(int64_t picture_height,
                                               int64_t picture_width) const {
  const SwinConfig& c = config_;
  const GridSize picture{picture_height, picture_width};
  check(c.window_rule != WindowRule::timm || picture == c.picture(), "swin",
        "this model takes pictures of {}x{}, for which its windows were chosen, not of {}x{}",
        c.image_height, c.image_width, picture_height, picture_width);
  check(c.window_rule != WindowRule::timm_dynamic ||
            (picture_height % c.patch_size == 0 && picture_width % c.patch_size == 0),
        "swin", "a picture of {}x{} is not a whole number of {} pixel patches", picture_height,
        picture_width, c.patch_size);
  std::vector<TokenLayout> layouts;
  for (size_t i = 0; i < c.stages(); ++i) {
    (void)c.windows(i, picture);
    const GridSize grid = c.grid(i, picture);
    const int64_t patch = c.patch_size << i;
    layouts.push_back({.grid_height = grid.height,
                       .grid_width = grid.width,
                       .patch_height = patch,
                       .patch_width = patch});
  }
  return layouts;
}

Variable SwinBackbone::padded(const Context& context, const Variable& images) const {
  if (!pads_pictures(config_)) return images;
  const auto missing = [&](int64_t pixels) {
    const int64_t over = pixels % config_.patch_size;
    return over == 0 ? 0 : config_.patch_size - over;
  };
  const int64_t below = missing(images.size(2)), right = missing(images.size(3));
  if (below == 0 && right == 0) return images;
  return pad(context, images, {{.axis = 2, .after = below}, {.axis = 3, .after = right}});
}

std::shared_ptr<const SwinBackbone::WindowPair> SwinBackbone::windows(
    size_t stage, const TokenLayout& layout, const GridSize& picture) const {
  // A grid of a model has one division into windows: pictures of the same grid share it.
  return stages_[stage]->windows.get(layout, [&] {
    const StageWindows chosen = config_.windows(stage, picture);
    return WindowPair{
        .window = {.grid_height = chosen.window.height, .grid_width = chosen.window.width},
        .plain = windows_of_grid(window_grid(config_, layout, chosen.window, {0, 0})),
        .shifted = windows_of_grid(window_grid(config_, layout, chosen.window, chosen.shift))};
  });
}

Variable SwinBackbone::run_block(const Context& context, size_t stage, size_t block,
                                 Variable tokens,
                                 const std::shared_ptr<const WindowPair>& windows) const {
  // It may run again in the backward pass, so it keeps the windows alive.
  const auto run = [this, stage, block, windows](const Context& inner, Variable x) {
    const SwinBlock& which = stages_[stage]->blocks[block];
    const AttentionWindows& cut = block % 2 == 0 ? windows->plain : windows->shifted;
    AttentionOptions terms;
    terms.windows = &cut;
    if (cut.groups.defined())
      terms.groups = {.query_groups = cut.groups, .key_groups = cut.groups, .penalty = cut.penalty};
    which.position->describe(inner, windows->window, static_cast<int64_t>(block), &terms);
    return which.block->forward(inner, std::move(x), &terms);
  };
  return context.activation_checkpointing ? checkpoint(context, tokens, run)
                                          : run(context, std::move(tokens));
}

std::vector<Feature> SwinBackbone::forward(const Context& context, const Variable& images) const {
  check(images.shape().rank() == 4 && images.size(1) == config_.in_channels, "swin",
        "this model takes [B, {}, H, W], not {}", config_.in_channels, images.shape().str());
  const GridSize picture{images.size(2), images.size(3)};
  const std::vector<TokenLayout> grids = layouts(picture.height, picture.width);
  Variable tokens =
      patch_norm_.forward(context, patch_embed_.forward(context, padded(context, images)));
  context.observe("patch_embed", tokens);
  if (pads_pictures(config_)) tokens = dropout(context, tokens, config_.dropout, "pos_drop");
  std::vector<Feature> features;
  for (size_t i = 0; i < stages_.size(); ++i) {
    const Stage& stage = *stages_[i];
    if (stage.downsample) {
      const TokenLayout& before = grids[i - 1];
      tokens = stage.downsample->forward(
          context,
          reshape(context, tokens,
                  {tokens.size(0), before.grid_height, before.grid_width, config_.width(i - 1)}));
      tokens = reshape(context, tokens, {tokens.size(0), grids[i].patches(), config_.width(i)});
    }
    const std::shared_ptr<const WindowPair> cut = windows(i, grids[i], picture);
    for (size_t j = 0; j < stage.blocks.size(); ++j) {
      tokens = run_block(context, i, j, std::move(tokens), cut);
      context.observe(stage.blocks[j].block->path(), tokens);
    }
    context.observe(stage.path, tokens);
    if (i + 1 == stages_.size()) {
      tokens = norm_.forward(context, tokens);
      context.observe("norm", tokens);
    }
    features.push_back({.tokens = tokens, .layout = grids[i]});
  }
  return features;
}

std::vector<BlockPlace> SwinBackbone::blocks() const {
  std::vector<BlockPlace> places;
  for (size_t i = 0; i < stages_.size(); ++i)
    for (const SwinBlock& block : stages_[i]->blocks)
      places.push_back({.path = block.block->path(), .stage = static_cast<int64_t>(i)});
  return places;
}

std::vector<AttentionLayer> SwinBackbone::attentions() const {
  std::vector<AttentionLayer> layers;
  for (size_t i = 0; i < stages_.size(); ++i)
    for (const SwinBlock& block : stages_[i]->blocks)
      layers.push_back({.path = block.block->attention().path(),
                        .stage = static_cast<int64_t>(i),
                        .heads = block.block->attention().heads()});
  return layers;
}

void SwinBackbone::visit_linears(const VisitLinear& visit) {
  for (const auto& stage : stages_) {
    if (stage->downsample) stage->downsample->visit_linears(visit);
    for (const SwinBlock& block : stage->blocks) block.block->visit_linears(visit);
  }
}

void SwinBackbone::count(CostCounter& counter, int64_t picture_height,
                         int64_t picture_width) const {
  const std::vector<TokenLayout> grids = layouts(picture_height, picture_width);
  counter.add(patch_embed_.cost(grids.front().patches()));
  for (size_t i = 0; i < stages_.size(); ++i) {
    const Stage& stage = *stages_[i];
    if (stage.downsample)
      counter.add(stage.downsample->cost(grids[i - 1].grid_height, grids[i - 1].grid_width));
    const auto cut = windows(i, grids[i], {picture_height, picture_width});
    for (size_t j = 0; j < stage.blocks.size(); ++j) {
      const AttentionWindows& of = j % 2 == 0 ? cut->plain : cut->shifted;
      stage.blocks[j].block->count(counter, grids[i].patches(), of.windows * of.tokens * of.tokens);
    }
  }
}

std::shared_ptr<Network> make_network(const SwinConfig& config) {
  return std::make_shared<ClassifierOf<SwinBackbone>>(
      config, ClassifierConfig{.embed_dim = config.width(config.stages() - 1),
                               .pooling = Pooling::mean,
                               .epsilon = config.layer_norm_epsilon,
                               .answer = config.class_answer()});
}

}  // namespace vitrail
