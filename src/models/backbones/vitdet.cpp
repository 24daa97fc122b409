#include "models/backbones/vitdet.h"

#include <cmath>

#include "autograd/checkpoint.h"
#include "autograd/timing.h"
#include "core/error.h"
#include "models/classifier.h"
#include "ops/convolution.h"
#include "ops/dropout.h"
#include "ops/elementwise.h"
#include "ops/tokens.h"

namespace vitrail {
namespace {

// Of every norm of feature maps in ViTDet and SAM, whatever that of the blocks is.
constexpr double kMapEpsilon = 1e-6;

PatchEmbeddingConfig vitdet_patches(const VitDetConfig& c) {
  return {.channels = c.in_channels,
          .embed_dim = c.embed_dim,
          .patch_height = c.patch_height,
          .patch_width = c.patch_width};
}

WindowBlockConfig vitdet_block(const VitDetConfig& c, int64_t index) {
  WindowBlockConfig out{.block = {.attention = {.embed_dim = c.embed_dim,
                                                .num_heads = c.num_heads,
                                                .head_dim = c.head_dim(),
                                                .qkv_bias = c.qkv_bias,
                                                .qk_norm = c.qk_norm,
                                                .epsilon = c.layer_norm_epsilon,
                                                .dropout = c.attention_dropout},
                                  .mlp = {.inputs = c.embed_dim,
                                          .hidden = c.mlp_hidden(),
                                          .activation = c.activation,
                                          .epsilon = c.layer_norm_epsilon,
                                          .dropout = c.dropout},
                                  .epsilon = c.layer_norm_epsilon,
                                  .layer_scale = c.layer_scale,
                                  .layer_scale_init = c.layer_scale_init,
                                  .dropout = c.dropout,
                                  .drop_path = drop_path_of_block(c.drop_path, index, c.depth)},
                        .window = c.is_global(index) ? 0 : c.window_size};
  if (c.relative_positions)
    out.tables =
        DecomposedPositionConfig{.head_dim = c.head_dim(),
                                 .grid_height = out.window > 0 ? out.window : c.relative_rows(),
                                 .grid_width = out.window > 0 ? out.window : c.relative_columns()};
  if (c.has_residual(index))
    out.residual = BottleneckConfig{.channels = c.embed_dim,
                                    .hidden = c.embed_dim / 2,
                                    .activation = c.activation,
                                    .epsilon = kMapEpsilon};
  return out;
}

Parameter* neck_filter(const Scope& scope, int64_t outputs, int64_t inputs, int64_t side) {
  return &scope.filter(
      "weight", {outputs, inputs, side, side},
      Initializer::truncated_normal(std::sqrt(2.0 / static_cast<double>(outputs * side * side))),
      ParameterRole::Muon::normalised_filter);
}

}  // namespace

VitDetNeck::VitDetNeck(const Scope& scope, const VitDetConfig& config)
    : path_(scope.path()), inputs_(config.embed_dim), outputs_(config.output_dim()) {
  check(config.neck != Neck::none, "vitdet", "there is no neck");
  if (config.neck == Neck::norm) {
    norm_.emplace(scope, outputs_, kMapEpsilon);
    return;
  }
  first_ = neck_filter(scope.child("conv1"), outputs_, inputs_, 1);
  first_norm_.emplace(scope.child("norm1"), outputs_, kMapEpsilon);
  second_ = neck_filter(scope.child("conv2"), outputs_, outputs_, 3);
  norm_.emplace(scope.child("norm2"), outputs_, kMapEpsilon);
}

Variable VitDetNeck::forward(const Context& context, const Variable& x) const {
  Variable y = x;
  if (first_ != nullptr) {
    y = convolution(context, y, *first_, nullptr, square_window(1, 1, 0));
    y = convolution(context, first_norm_->forward(context, y), *second_, nullptr,
                    square_window(3, 1, 1));
  }
  return norm_->forward(context, y);
}

LayerCost VitDetNeck::cost(int64_t cells) const {
  return {.path = path_,
          .output = {cells, outputs_},
          .multiply_adds = first_ == nullptr ? 0 : cells * outputs_ * (inputs_ + 9 * outputs_),
          .values = cells * (inputs_ + 3 * outputs_)};
}

VitDetBackbone::VitDetBackbone(const Scope& root, const VitDetConfig& config)
    : config_(config),
      patch_embed_(root.in(ParameterPlace::Section::stem).child("patch_embed"),
                   vitdet_patches(config)) {
  const VitDetConfig& c = config_;
  using Section = ParameterPlace::Section;
  if (c.absolute_positions)
    positions_.emplace(root.in(Section::stem),
                       LearnedPositionConfig{.embed_dim = c.embed_dim,
                                             .prefix = c.position_prefix,
                                             .grid_height = c.position_rows(),
                                             .grid_width = c.position_columns(),
                                             .resize = c.position_resize,
                                             .by_axes = c.position_prefix == 0});
  for (int64_t i = 0; i < c.depth; ++i)
    blocks_.push_back(std::make_unique<WindowBlock>(root.child("blocks").child(i).in_block(i),
                                                    vitdet_block(c, i)));
  if (c.neck != Neck::none) neck_.emplace(root.in(Section::final_norm).child("neck"), c);
}

std::vector<TokenLayout> VitDetBackbone::layouts(int64_t picture_height,
                                                 int64_t picture_width) const {
  const TokenLayout layout{.grid_height = config_.grid_height(picture_height),
                           .grid_width = config_.grid_width(picture_width),
                           .patch_height = config_.patch_height,
                           .patch_width = config_.patch_width};
  config_.check_positions(layout.grid_height, layout.grid_width);
  return {layout};
}

std::shared_ptr<const AttentionWindows> VitDetBackbone::windows(const TokenLayout& grid) const {
  return windows_.get(grid, [&] {
    if (config_.window_size == 0) return AttentionWindows();
    return windows_of_grid({.grid_height = grid.grid_height,
                            .grid_width = grid.grid_width,
                            .window_height = config_.window_size,
                            .window_width = config_.window_size});
  });
}

Variable VitDetBackbone::embed(const Context& context, const Variable& images,
                               const TokenLayout& layout) const {
  Variable tokens = patch_embed_.forward(context, images);
  context.observe("patch_embed", tokens);
  if (positions_) {
    const Timed timed(context, {"position", "pos_embed"});
    const Variable table = positions_->table(context, layout);
    const int64_t prefix = config_.position_prefix;  // of no token
    tokens = add_broadcast(context, tokens,
                           prefix == 0 ? table : slice(context, table, 1, prefix, table.size(1)));
  }
  return dropout(context, tokens, config_.position_dropout, "pos_drop");
}

std::vector<Feature> VitDetBackbone::forward(const Context& context, const Variable& images) const {
  check(images.shape().rank() == 4 && images.size(1) == config_.in_channels, "vitdet",
        "this model takes [B, {}, H, W], not {}", config_.in_channels, images.shape().str());
  const TokenLayout grid = layout(images.size(2), images.size(3));
  const std::shared_ptr<const AttentionWindows> cut = windows(grid);
  Variable tokens = embed(context, images, grid);
  context.observe("tokens", tokens);
  for (const auto& block : blocks_) {
    // Run again by the backward pass, when this function has returned.
    const auto run = [cut, grid, one = block.get()](const Context& inner, const Variable& x) {
      return one->forward(inner, x, grid, *cut);
    };
    tokens =
        context.activation_checkpointing ? checkpoint(context, tokens, run) : run(context, tokens);
    context.observe(block->path(), tokens);
  }
  if (neck_) {
    const int64_t batch = tokens.size(0);
    const Variable map =
        reshape(context, tokens, {batch, grid.grid_height, grid.grid_width, config_.embed_dim});
    tokens = reshape(context, neck_->forward(context, map),
                     {batch, grid.patches(), config_.output_dim()});
    context.observe("neck", tokens);
  }
  return {{.tokens = tokens, .layout = grid}};
}

std::vector<BlockPlace> VitDetBackbone::blocks() const {
  std::vector<BlockPlace> places;
  for (const auto& block : blocks_) places.push_back({.path = block->path()});
  return places;
}

std::vector<AttentionLayer> VitDetBackbone::attentions() const {
  std::vector<AttentionLayer> layers;
  for (const auto& block : blocks_)
    layers.push_back({.path = block->attention().path(), .heads = block->attention().heads()});
  return layers;
}

void VitDetBackbone::visit_linears(const VisitLinear& visit) {
  for (const auto& block : blocks_) block->visit_linears(visit);
}

void VitDetBackbone::count(CostCounter& counter, int64_t picture_height,
                           int64_t picture_width) const {
  const TokenLayout grid = layout(picture_height, picture_width);
  const std::shared_ptr<const AttentionWindows> cut = windows(grid);
  counter.add(patch_embed_.cost(grid.patches()));
  for (const auto& block : blocks_) block->count(counter, grid, *cut);
  if (neck_) counter.add(neck_->cost(grid.patches()));
}

namespace {

class VitDet : public Classifier {
 public:
  explicit VitDet(const VitDetConfig& config)
      : Classifier(config), backbone_(Scope(parameters()), config) {
    make_head({.embed_dim = config.output_dim(),
               .pooling = Pooling::mean,
               .epsilon = config.layer_norm_epsilon,
               .answer = config.class_answer()});
  }
  const VitDetBackbone& backbone() const override { return backbone_; }

 protected:
  VitDetBackbone& own_backbone() override { return backbone_; }

 private:
  VitDetBackbone backbone_;
};

}  // namespace

std::shared_ptr<Network> make_network(const VitDetConfig& config) {
  return std::make_shared<VitDet>(config);
}

}  // namespace vitrail
