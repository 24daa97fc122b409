#include "models/backbones/tiny_vit.h"

#include "models/backbones/stages.h"
#include "models/classifier.h"
#include "nn/mlp.h"
#include "nn/offset_attention.h"
#include "ops/tokens.h"

namespace vitrail {
namespace {

constexpr double kTinyVitEpsilon = 1e-5;  // of every norm: torch's own

NormedConvolutionConfig stem_layer(int64_t inputs, int64_t outputs) {
  return {.inputs = inputs,
          .outputs = outputs,
          .kernel = 3,
          .stride = 2,
          .muon = ParameterRole::Muon::none};
}

int64_t widened(int64_t width, double ratio) {
  return static_cast<int64_t>(static_cast<double>(width) * ratio);
}

}  // namespace

class TinyVitBlock {
 public:
  TinyVitBlock(const Scope& scope, const TinyVitConfig& c, size_t stage, double drop_path)
      : path_(scope.path()),
        attention_path_(path_ + ".attn.proj"),
        mlp_path_(path_ + ".mlp.fc2"),
        dropout_(c.dropout),
        drop_path_(drop_path),
        attn_(scope.child("attn"), attention_of(c, stage)),
        local_conv_(scope.child("local_conv"), {.inputs = c.embed_dims[stage],
                                                .outputs = c.embed_dims[stage],
                                                .kernel = c.local_conv_size,
                                                .depthwise = true}),
        norm_(scope.child("mlp").child("norm"), c.embed_dims[stage], kTinyVitEpsilon),
        mlp_(scope.child("mlp"), {.inputs = c.embed_dims[stage],
                                  .hidden = widened(c.embed_dims[stage], c.mlp_ratio),
                                  .activation = c.activation,
                                  .dropout = c.dropout}) {}

  // [B, N, D], both.
  Variable forward(const Context& context, const Variable& x, const TokenLayout& layout) const {
    const Variable y = attn_.forward(
        context, x, layout, {.drop_path = drop_path_, .residual = &x, .path = attention_path_});
    const Variable grid =
        reshape(context, y, {y.size(0), layout.grid_height, layout.grid_width, y.size(2)});
    const Variable z = reshape(context, local_conv_.forward(context, grid), y.shape());
    return mlp_.forward(
        context, norm_.before(z),
        {.dropout = dropout_, .drop_path = drop_path_, .residual = &z, .path = mlp_path_});
  }

  const std::string& path() const { return path_; }
  const OffsetAttention& attention() const { return attn_; }
  void visit_linears(const VisitLinear& visit) {
    attn_.visit_linears(visit);
    mlp_.visit_linears(visit);
  }
  void count(CostCounter& counter, const TokenLayout& layout) const {
    counter.add(attn_.cost(layout));
    const int64_t tokens = layout.patches();
    counter.add(
        {.path = path_ + ".local_conv",
         .output = {tokens, local_conv_.outputs()},
         .multiply_adds = local_conv_.multiply_adds(layout.grid_height, layout.grid_width)});
    counter.add(mlp_.cost(tokens));
  }

 private:
  static OffsetAttentionConfig attention_of(const TinyVitConfig& c, size_t stage) {
    const int64_t head = c.embed_dims[stage] / c.num_heads[stage], side = c.window_sizes[stage];
    return {.embed_dim = c.embed_dims[stage],
            .num_heads = c.num_heads[stage],
            .sizes = {.key = head, .value = head},
            .grid_height = side,
            .grid_width = side,
            .windows = true,
            .norm = true,
            .epsilon = kTinyVitEpsilon};
  }

  std::string path_, attention_path_, mlp_path_;
  double dropout_, drop_path_;
  OffsetAttention attn_;
  NormedConvolution local_conv_;
  LayerNorm norm_;
  Mlp mlp_;
};

TinyVitBackbone::TinyVitBackbone(const Scope& root, const TinyVitConfig& c)
    : config_(c),
      conv1_(root.in(ParameterPlace::Section::stem).child("patch_embed").child("conv1"),
             stem_layer(c.in_channels, c.embed_dims.front() / 2)),
      conv2_(root.in(ParameterPlace::Section::stem).child("patch_embed").child("conv2"),
             stem_layer(c.embed_dims.front() / 2, c.embed_dims.front())) {
  int64_t block = 0;  // over all stages
  for (size_t i = 0; i < c.depths.size(); ++i) {
    const Scope below = root.child("stages").child(static_cast<int64_t>(i));
    Stage& stage = stages_.emplace_back();
    stage.path = below.path();
    const int64_t dim = c.embed_dims[i];
    if (i > 0)
      stage.downsample =
          std::make_unique<InvertedResidual>(below.in_block(block).child("downsample"),
                                             InvertedResidualConfig{.inputs = c.embed_dims[i - 1],
                                                                    .hidden = dim,
                                                                    .outputs = dim,
                                                                    .stride = 2,
                                                                    .activation = c.activation});
    for (int64_t j = 0; j < c.depths[i]; ++j, ++block) {
      const Scope scope = below.child("blocks").child(j).in_block(block);
      const double drop_path = drop_path_of_block(c.drop_path, block, c.num_blocks());
      if (i == 0)
        stage.convolutions.push_back(std::make_unique<InvertedResidual>(
            scope, InvertedResidualConfig{.inputs = dim,
                                          .hidden = widened(dim, c.mbconv_expand_ratio),
                                          .outputs = dim,
                                          .activation = c.activation,
                                          .shortcut = true,
                                          .activation_behind = true,
                                          .last_gamma = 0,
                                          .drop_path = drop_path}));
      else
        stage.blocks.push_back(std::make_unique<TinyVitBlock>(scope, c, i, drop_path));
    }
  }
}

TinyVitBackbone::~TinyVitBackbone() = default;

std::vector<TokenLayout> TinyVitBackbone::layouts(int64_t picture_height,
                                                  int64_t picture_width) const {
  check(picture_height > 0 && picture_width > 0, "tiny_vit", "a picture of {}x{} has no pixels",
        picture_height, picture_width);
  std::vector<TokenLayout> layouts;
  int64_t height = conv2_.cells(conv1_.cells(picture_height));
  int64_t width = conv2_.cells(conv1_.cells(picture_width));
  for (const Stage& stage : stages_) {
    if (stage.downsample) {
      height = stage.downsample->cells(height);
      width = stage.downsample->cells(width);
    }
    layouts.push_back(map_layout(height, width, picture_height, picture_width));
  }
  return layouts;
}

// [B, h, w, C] to the tokens [B, N, D] of the stage.
Variable TinyVitBackbone::run_stage(const Context& context, const Stage& stage,
                                    const TokenLayout& layout, Variable grid) const {
  if (stage.downsample) grid = stage.downsample->forward(context, grid);
  grid = run_map_blocks(context, stage.convolutions, std::move(grid));
  const Variable tokens = run_blocks(context, stage.blocks, map_as_tokens(context, grid), layout);
  context.observe(stage.path, tokens);
  return tokens;
}

std::vector<Feature> TinyVitBackbone::forward(const Context& context,
                                              const Variable& images) const {
  Variable grid = map_of_pictures(context, images, config_.in_channels, "tiny_vit");
  const std::vector<TokenLayout> grids = layouts(images.size(2), images.size(3));
  grid = conv1_.forward(context, grid, {.activation = config_.activation});
  grid = conv2_.forward(context, grid);
  context.observe("patch_embed", grid);
  std::vector<Feature> features;
  for (size_t i = 0; i < stages_.size(); ++i) {
    const Variable tokens = run_stage(context, stages_[i], grids[i], std::move(grid));
    features.push_back({.tokens = tokens, .layout = grids[i]});
    grid = reshape(context, tokens,
                   {tokens.size(0), grids[i].grid_height, grids[i].grid_width, tokens.size(2)});
  }
  return features;
}

std::vector<BlockPlace> TinyVitBackbone::blocks() const {
  std::vector<BlockPlace> places;
  for (size_t i = 0; i < stages_.size(); ++i) {
    add_places(stages_[i].convolutions, i, &places);
    add_places(stages_[i].blocks, i, &places);
  }
  return places;
}

std::vector<AttentionLayer> TinyVitBackbone::attentions() const {
  return attention_layers(stages_);
}

void TinyVitBackbone::visit_linears(const VisitLinear& visit) {
  visit_stages(stages_, visit);
}

void TinyVitBackbone::count(CostCounter& counter, int64_t picture_height,
                            int64_t picture_width) const {
  const std::vector<TokenLayout> grids = layouts(picture_height, picture_width);
  const int64_t half_height = conv1_.cells(picture_height),
                half_width = conv1_.cells(picture_width);
  counter.add({.path = "patch_embed",
               .output = {grids.front().patches(), conv2_.outputs()},
               .multiply_adds = conv1_.multiply_adds(picture_height, picture_width) +
                                conv2_.multiply_adds(half_height, half_width),
               .values = picture_height * picture_width * config_.in_channels +
                         half_height * half_width * conv1_.outputs() +
                         grids.front().patches() * conv2_.outputs()});
  for (size_t i = 0; i < stages_.size(); ++i) {
    const Stage& stage = stages_[i];
    if (stage.downsample)
      counter.add(stage.downsample->cost(grids[i - 1].grid_height, grids[i - 1].grid_width));
    for (const auto& block : stage.convolutions)
      counter.add(block->cost(grids[i].grid_height, grids[i].grid_width));
    for (const auto& block : stage.blocks) block->count(counter, grids[i]);
  }
}

std::shared_ptr<Network> make_network(const TinyVitConfig& config) {
  return std::make_shared<ClassifierOf<TinyVitBackbone>>(
      config, ClassifierConfig{.embed_dim = config.embed_dims.back(),
                               .pooling = Pooling::mean,
                               .norm = true,
                               .epsilon = kTinyVitEpsilon,
                               .answer = config.class_answer()});
}

}  // namespace vitrail
