#include "models/backbones/hiera.h"

#include <array>
#include <cmath>

#include "autograd/checkpoint.h"
#include "autograd/timing.h"
#include "core/error.h"
#include "models/classifier.h"
#include "nn/position/added.h"
#include "nn/position/windowed.h"
#include "ops/convolution.h"
#include "ops/elementwise.h"
#include "ops/tokens.h"

namespace vitrail {
namespace {

int64_t hidden_of(const HieraConfig& c, size_t stage) {
  return static_cast<int64_t>(static_cast<double>(c.embed_dims[stage]) * c.mlp_ratio);
}

BlockConfig hiera_block(const HieraConfig& c, size_t stage, int64_t block) {
  const int64_t dim = c.embed_dims[stage], heads = c.num_heads[stage];
  return {.attention = {.embed_dim = dim,
                        .num_heads = heads,
                        .head_dim = dim / heads,
                        .epsilon = c.layer_norm_epsilon},
          .mlp = {.inputs = dim,
                  .hidden = hidden_of(c, stage),
                  .activation = c.activation,
                  .epsilon = c.layer_norm_epsilon},
          .epsilon = c.layer_norm_epsilon,
          .layer_scale = c.layer_scale,
          .layer_scale_init = c.layer_scale_init,
          .drop_path = drop_path_of_block(c.drop_path, block, c.num_blocks())};
}

PoolingBlockConfig hiera_first_block(const HieraConfig& c, size_t stage, int64_t block) {
  return {.inputs = c.embed_dims[stage - 1],
          .outputs = c.embed_dims[stage],
          .num_heads = c.num_heads[stage],
          .stride = c.pooled_by(stage) / c.pooled_by(stage - 1),
          .projected_residual = c.projected_residual,
          .mlp_hidden = hidden_of(c, stage),
          .activation = c.activation,
          .epsilon = c.layer_norm_epsilon,
          .layer_scale = c.layer_scale,
          .layer_scale_init = c.layer_scale_init,
          .drop_path = drop_path_of_block(c.drop_path, block, c.num_blocks())};
}

std::unique_ptr<PositionStrategy> hiera_positions(const Scope& stem, const HieraConfig& c) {
  const int64_t dim = c.embed_dims.front(), rows = c.position_rows(),
                columns = c.position_columns();
  if (c.windowed_positions)
    return std::make_unique<WindowedPositions>(stem,
                                               WindowedPositionConfig{.embed_dim = dim,
                                                                      .grid_height = rows,
                                                                      .grid_width = columns,
                                                                      .window_height = c.mask_unit,
                                                                      .window_width = c.mask_unit,
                                                                      .resize = c.position_resize});
  return std::make_unique<LearnedPositions>(stem,
                                            LearnedPositionConfig{.embed_dim = dim,
                                                                  .grid_height = rows,
                                                                  .grid_width = columns,
                                                                  .resize = c.position_resize});
}

AttentionWindows squares(const TokenLayout& grid, int64_t side) {
  return windows_of_grid({.grid_height = grid.grid_height,
                          .grid_width = grid.grid_width,
                          .window_height = side,
                          .window_width = side});
}

const AttentionWindows* address(const std::optional<AttentionWindows>& windows) {
  return windows ? &*windows : nullptr;
}

}  // namespace

HieraBackbone::HieraBackbone(const Scope& root, const HieraConfig& config) : config_(config) {
  const HieraConfig& c = config_;
  const Scope stem = root.in(ParameterPlace::Section::stem);
  const Scope patches = stem.child("patch_embed").child("proj");
  const int64_t width = c.embed_dims.front(), side = c.patch_kernel;
  patch_weight_ = &patches.filter("weight", {width, c.in_channels, side, side},
                                  Initializer::truncated_normal(0.02), ParameterRole::Muon::none);
  patch_bias_ =
      &patches.parameter("bias", {width}, Initializer::zeros(), ParameterRole::Kind::bias);
  positions_ = hiera_positions(stem, c);
  int64_t block = 0;  // over all stages
  for (size_t i = 0; i < c.stages(); ++i) {
    Stage& stage = stages_.emplace_back();
    for (int64_t j = 0; j < c.depths[i]; ++j, ++block) {
      const Scope scope = root.child("blocks").child(block).in_block(block);
      if (i > 0 && j == 0)
        stage.first = std::make_unique<PoolingBlock>(scope, hiera_first_block(c, i, block));
      else
        stage.blocks.push_back(std::make_unique<Block>(scope, hiera_block(c, i, block)));
    }
  }
}

std::vector<TokenLayout> HieraBackbone::layouts(int64_t picture_height,
                                                int64_t picture_width) const {
  const int64_t rows = config_.cells(picture_height, "height");
  const int64_t columns = config_.cells(picture_width, "width");
  config_.check_positions(rows, columns);
  std::vector<TokenLayout> layouts;
  for (size_t i = 0; i < stages_.size(); ++i) {
    const int64_t less = config_.pooled_by(i);
    layouts.push_back({.grid_height = rows / less,
                       .grid_width = columns / less,
                       .patch_height = config_.patch_stride * less,
                       .patch_width = config_.patch_stride * less,
                       .of_feature_map = true});
  }
  return layouts;
}

std::shared_ptr<const HieraBackbone::Units> HieraBackbone::units(
    const std::vector<TokenLayout>& grids) const {
  return units_.get(grids.front(), [&] {
    Units all(grids.size());
    for (size_t i = 0; i < grids.size(); ++i) {
      if (config_.mask_unit_attention[i] != 0) all[i].own = squares(grids[i], config_.unit(i));
      if (i == 0 || config_.mask_unit_attention[i - 1] == 0) continue;
      all[i].keys = squares(grids[i - 1], config_.unit(i - 1));
      all[i].queries = squares(grids[i], config_.unit(i));
    }
    return all;
  });
}

PooledGrid HieraBackbone::pooled_grid(const TokenLayout& before, const StageUnits& units) const {
  return {.height = before.grid_height,
          .width = before.grid_width,
          .keys = address(units.keys),
          .queries = address(units.queries)};
}

Variable HieraBackbone::embed(const Context& context, const Variable& images,
                              const TokenLayout& layout) const {
  const Variable map = convolution(
      context, permute(context, images, std::array{0, 2, 3, 1}), *patch_weight_, patch_bias_,
      square_window(config_.patch_kernel, config_.patch_stride, config_.patch_padding));
  const Variable patches =
      reshape(context, map, {map.size(0), layout.patches(), config_.embed_dims.front()});
  context.observe("patch_embed", patches);
  const Timed timed(context, {"position", "pos_embed"});
  return add_broadcast(context, patches, positions_->table(context, layout));
}

std::vector<Feature> HieraBackbone::forward(const Context& context, const Variable& images) const {
  check(images.shape().rank() == 4 && images.size(1) == config_.in_channels, "hiera",
        "this model takes [B, {}, H, W], not {}", config_.in_channels, images.shape().str());
  const std::vector<TokenLayout> grids = layouts(images.size(2), images.size(3));
  const std::shared_ptr<const Units> all = units(grids);
  Variable tokens = embed(context, images, grids.front());
  context.observe("tokens", tokens);
  // A segment is run again by the backward pass, when this function has returned.
  const auto run = [&](const std::string& path, const auto& segment) {
    tokens = context.activation_checkpointing ? checkpoint(context, tokens, segment)
                                              : segment(context, tokens);
    context.observe(path, tokens);
  };
  std::vector<Feature> features;
  for (size_t i = 0; i < stages_.size(); ++i) {
    const Stage& stage = stages_[i];
    if (stage.first)
      run(stage.first->path(), [this, all, i, before = grids[i - 1], first = stage.first.get()](
                                   const Context& inner, const Variable& x) {
        return first->forward(inner, x, pooled_grid(before, (*all)[i]));
      });
    for (const auto& block : stage.blocks)
      run(block->path(), [all, i, one = block.get()](const Context& inner, const Variable& x) {
        const AttentionOptions terms{.windows = address((*all)[i].own)};
        return one->forward(inner, x, &terms);
      });
    features.push_back({.tokens = tokens, .layout = grids[i]});
  }
  return features;
}

std::vector<BlockPlace> HieraBackbone::blocks() const {
  std::vector<BlockPlace> places;
  for (size_t i = 0; i < stages_.size(); ++i) {
    const auto stage = static_cast<int64_t>(i);
    if (stages_[i].first) places.push_back({.path = stages_[i].first->path(), .stage = stage});
    for (const auto& block : stages_[i].blocks)
      places.push_back({.path = block->path(), .stage = stage});
  }
  return places;
}

std::vector<AttentionLayer> HieraBackbone::attentions() const {
  std::vector<AttentionLayer> layers;
  for (size_t i = 0; i < stages_.size(); ++i) {
    const auto stage = static_cast<int64_t>(i);
    if (const auto& first = stages_[i].first)
      layers.push_back({.path = first->attention_path(),
                        .stage = stage,
                        .heads = first->heads(),
                        .of_its_tokens = false});
    for (const auto& block : stages_[i].blocks)
      layers.push_back(
          {.path = block->attention().path(), .stage = stage, .heads = block->attention().heads()});
  }
  return layers;
}

AttentionGrids HieraBackbone::attention_grids(const AttentionLayer& layer, int64_t picture_height,
                                              int64_t picture_width) const {
  const std::vector<TokenLayout> grids = layouts(picture_height, picture_width);
  const auto stage = static_cast<size_t>(layer.stage);
  return {.queries = grids[stage], .keys = grids[layer.of_its_tokens ? stage : stage - 1]};
}

void HieraBackbone::visit_linears(const VisitLinear& visit) {
  for (Stage& stage : stages_) {
    if (stage.first) stage.first->visit_linears(visit);
    for (const auto& block : stage.blocks) block->visit_linears(visit);
  }
}

void HieraBackbone::count(CostCounter& counter, int64_t picture_height,
                          int64_t picture_width) const {
  const std::vector<TokenLayout> grids = layouts(picture_height, picture_width);
  const std::shared_ptr<const Units> all = units(grids);
  const int64_t width = config_.embed_dims.front(), cells = grids.front().patches();
  counter.add({.path = "patch_embed",
               .output = {cells, width},
               .multiply_adds = cells * width * config_.in_channels * config_.patch_kernel *
                                config_.patch_kernel});
  for (size_t i = 0; i < stages_.size(); ++i) {
    const Stage& stage = stages_[i];
    if (stage.first) stage.first->count(counter, pooled_grid(grids[i - 1], (*all)[i]));
    const int64_t tokens = grids[i].patches();
    const AttentionWindows* own = address((*all)[i].own);
    const int64_t pairs =
        own == nullptr ? tokens * tokens : own->windows * own->tokens * own->tokens;
    for (const auto& block : stage.blocks) block->count(counter, tokens, pairs);
  }
}

namespace {

class Hiera : public Classifier {
 public:
  explicit Hiera(const HieraConfig& config)
      : Classifier(config), backbone_(Scope(parameters()), config) {
    make_head({.embed_dim = config.embed_dims.back(),
               .pooling = Pooling::mean,
               .norm = true,
               .epsilon = config.layer_norm_epsilon,
               .answer = config.class_answer()});
  }
  const HieraBackbone& backbone() const override { return backbone_; }

 protected:
  HieraBackbone& own_backbone() override { return backbone_; }

 private:
  HieraBackbone backbone_;
};

}  // namespace

std::shared_ptr<Network> make_network(const HieraConfig& config) {
  return std::make_shared<Hiera>(config);
}

}  // namespace vitrail
