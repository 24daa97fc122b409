#include "models/backbones/efficientformer.h"

#include <algorithm>

#include "models/backbones/stages.h"
#include "models/classifier.h"
#include "nn/mlp.h"
#include "nn/offset_attention.h"
#include "ops/elementwise.h"
#include "ops/tokens.h"

namespace vitrail {
namespace {

constexpr double kEfficientFormerEpsilon = 1e-5;  // of every norm: torch's own

NormedConvolutionConfig halving(int64_t inputs, int64_t outputs, ParameterRole::Muon muon) {
  return {
      .inputs = inputs, .outputs = outputs, .kernel = 3, .stride = 2, .bias = true, .muon = muon};
}

NormedConvolution stem_of(const Scope& root, const char* convolution, const char* norm,
                          int64_t inputs, int64_t outputs) {
  const Scope stem = root.in(ParameterPlace::Section::stem).child("stem");
  return {stem.child(convolution), stem.child(norm),
          halving(inputs, outputs, ParameterRole::Muon::none)};
}

const Parameter& layer_scale_of(const Scope& scope, const char* name,
                                const EfficientFormerConfig& c, int64_t dim) {
  return scope.child(name).parameter("gamma", {dim}, Initializer::constant(c.layer_scale_init),
                                     ParameterRole::Kind::scale);
}

int64_t mlp_hidden_of(const EfficientFormerConfig& c, int64_t dim) {
  return static_cast<int64_t>(static_cast<double>(dim) * c.mlp_ratio);
}

}  // namespace

// x + mean of the neighbours - x, then an MLP of 1x1 convolutions with batch normalisation.
class PoolMixerBlock {
 public:
  PoolMixerBlock(const Scope& scope, const EfficientFormerConfig& c, int64_t dim, double drop_path)
      : path_(scope.path()),
        mixer_path_(path_ + ".token_mixer"),
        mlp_path_(path_ + ".mlp.fc2"),
        hidden_path_(path_ + ".mlp.fc1"),
        window_(square_window(c.pool_size, 1, c.pool_size / 2)),
        activation_(c.activation),
        dropout_(c.dropout),
        drop_path_(drop_path),
        scale1_(layer_scale_of(scope, "ls1", c, dim)),
        fc1_(scope.child("mlp").child("fc1"), scope.child("mlp").child("norm1"),
             {.inputs = dim, .outputs = mlp_hidden_of(c, dim), .bias = true}),
        fc2_(scope.child("mlp").child("fc2"), scope.child("mlp").child("norm2"),
             {.inputs = mlp_hidden_of(c, dim), .outputs = dim, .bias = true}),
        scale2_(layer_scale_of(scope, "ls2", c, dim)) {}

  // [B, H, W, D], both.
  Variable forward(const Context& context, const Variable& x) const {
    // The op's average counts what is outside as zeros; a border's neighbours are fewer.
    const TokenLayout layout{.grid_height = x.size(1), .grid_width = x.size(2)};
    const auto shares = shares_.get(layout, [&] { return shares_of(layout); });
    const Variable mean = multiply(context, average_pool2d(context, x, window_), Variable(*shares));
    const Variable y = apply_epilogue(
        context, subtract(context, mean, x),
        {.layer_scale = &scale1_, .drop_path = drop_path_, .residual = &x, .path = mixer_path_});
    const Variable hidden = fc1_.forward(
        context, y, {.activation = activation_, .dropout = dropout_, .path = hidden_path_});
    return fc2_.forward(context, hidden,
                        {.dropout = dropout_,
                         .layer_scale = &scale2_,
                         .drop_path = drop_path_,
                         .residual = &y,
                         .path = mlp_path_});
  }

  const std::string& path() const { return path_; }
  void count(CostCounter& counter, const TokenLayout& layout) const {
    const int64_t height = layout.grid_height, width = layout.grid_width;
    counter.add(
        {.path = path_,
         .output = {layout.patches(), fc2_.outputs()},
         .multiply_adds = fc1_.multiply_adds(height, width) + fc2_.multiply_adds(height, width),
         .values = layout.patches() * (4 * fc2_.outputs() + fc1_.outputs())});
  }

 private:
  // [1, H, W, 1]: by what a mean over the whole window is multiplied to be one over the pixels.
  Tensor shares_of(const TokenLayout& layout) const {
    Tensor shares = Tensor::empty({1, layout.grid_height, layout.grid_width, 1});
    const int64_t side = window_.kernel_height, reach = side / 2;
    const auto inside = [reach](int64_t at, int64_t size) {
      return std::min(at + reach, size - 1) - std::max(at - reach, int64_t{0}) + 1;
    };
    float* share = shares.f32();
    for (int64_t y = 0; y < layout.grid_height; ++y)
      for (int64_t x = 0; x < layout.grid_width; ++x)
        *share++ = static_cast<float>(side * side) /
                   static_cast<float>(inside(y, layout.grid_height) * inside(x, layout.grid_width));
    return shares;
  }

  std::string path_, mixer_path_, mlp_path_, hidden_path_;
  WindowOptions window_;
  kernels::Activation activation_;
  double dropout_, drop_path_;
  const Parameter& scale1_;
  NormedConvolution fc1_, fc2_;
  const Parameter& scale2_;
  GridCache<Tensor> shares_;
};

class EfficientAttentionBlock {
 public:
  EfficientAttentionBlock(const Scope& scope, const EfficientFormerConfig& c, int64_t dim,
                          double drop_path)
      : path_(scope.path()),
        attention_path_(path_ + ".token_mixer.proj"),
        mlp_path_(path_ + ".mlp.fc2"),
        dropout_(c.dropout),
        drop_path_(drop_path),
        norm1_(scope.child("norm1"), dim, kEfficientFormerEpsilon),
        attn_(scope.child("token_mixer"), {.embed_dim = dim,
                                           .num_heads = c.num_heads,
                                           .sizes = {.key = c.key_dim, .value = c.value_dim},
                                           .grid_height = c.attention_grid,
                                           .grid_width = c.attention_grid}),
        scale1_(layer_scale_of(scope, "ls1", c, dim)),
        norm2_(scope.child("norm2"), dim, kEfficientFormerEpsilon),
        mlp_(scope.child("mlp"), {.inputs = dim,
                                  .hidden = mlp_hidden_of(c, dim),
                                  .activation = c.activation,
                                  .dropout = c.dropout}),
        scale2_(layer_scale_of(scope, "ls2", c, dim)) {}

  // [B, N, D], both.
  Variable forward(const Context& context, const Variable& x, const TokenLayout& layout) const {
    const Variable y = attn_.forward(context, norm1_.before(x), layout,
                                     {.layer_scale = &scale1_,
                                      .drop_path = drop_path_,
                                      .residual = &x,
                                      .path = attention_path_});
    return mlp_.forward(context, norm2_.before(y),
                        {.dropout = dropout_,
                         .layer_scale = &scale2_,
                         .drop_path = drop_path_,
                         .residual = &y,
                         .path = mlp_path_});
  }

  const std::string& path() const { return path_; }
  const OffsetAttention& attention() const { return attn_; }
  void visit_linears(const VisitLinear& visit) {
    attn_.visit_linears(visit);
    mlp_.visit_linears(visit);
  }
  void count(CostCounter& counter, const TokenLayout& layout) const {
    counter.add(attn_.cost(layout));
    counter.add(mlp_.cost(layout.patches()));
  }

 private:
  std::string path_, attention_path_, mlp_path_;
  double dropout_, drop_path_;
  LayerNorm norm1_;
  OffsetAttention attn_;
  const Parameter& scale1_;
  LayerNorm norm2_;
  Mlp mlp_;
  const Parameter& scale2_;
};

EfficientFormerBackbone::EfficientFormerBackbone(const Scope& root, const EfficientFormerConfig& c)
    : config_(c),
      stem1_(stem_of(root, "conv1", "norm1", c.in_channels, c.embed_dims.front() / 2)),
      stem2_(stem_of(root, "conv2", "norm2", c.embed_dims.front() / 2, c.embed_dims.front())) {
  int64_t block = 0;  // over all stages
  for (size_t i = 0; i < c.depths.size(); ++i) {
    const Scope below = root.child("stages").child(static_cast<int64_t>(i));
    Stage& stage = stages_.emplace_back();
    stage.path = below.path();
    const int64_t dim = c.embed_dims[i];
    if (i > 0) {
      const Scope down = below.in_block(block).child("downsample");
      stage.downsample = std::make_unique<NormedConvolution>(
          down.child("conv"), down.child("norm"),
          halving(c.embed_dims[i - 1], dim, ParameterRole::Muon::normalised_filter));
    }
    const int64_t attending = i + 1 == c.depths.size() ? c.num_vit : 0;
    for (int64_t j = 0; j < c.depths[i]; ++j, ++block) {
      const bool attends = j >= c.depths[i] - attending;
      const Scope scope = below.child("blocks").child(attends ? j + 1 : j).in_block(block);
      const double drop_path = drop_path_of_block(c.drop_path, block, c.num_blocks());
      if (attends)
        stage.blocks.push_back(std::make_unique<EfficientAttentionBlock>(scope, c, dim, drop_path));
      else
        stage.pooling.push_back(std::make_unique<PoolMixerBlock>(scope, c, dim, drop_path));
    }
  }
  norm_.emplace(root.in(ParameterPlace::Section::final_norm).child("norm"), c.embed_dims.back(),
                kEfficientFormerEpsilon);
}

EfficientFormerBackbone::~EfficientFormerBackbone() = default;

std::vector<TokenLayout> EfficientFormerBackbone::layouts(int64_t picture_height,
                                                          int64_t picture_width) const {
  EfficientFormerConfig sized = config_;
  sized.set_image_size(picture_height, picture_width);  // refuses what does not fit
  std::vector<TokenLayout> layouts;
  int64_t height = stem2_.cells(stem1_.cells(picture_height));
  int64_t width = stem2_.cells(stem1_.cells(picture_width));
  for (const Stage& stage : stages_) {
    if (stage.downsample) {
      height = stage.downsample->cells(height);
      width = stage.downsample->cells(width);
    }
    layouts.push_back(map_layout(height, width, picture_height, picture_width));
  }
  return layouts;
}

Variable EfficientFormerBackbone::run_stage(const Context& context, const Stage& stage,
                                            const TokenLayout& layout, Variable map) const {
  if (stage.downsample) map = stage.downsample->forward(context, map);
  map = run_map_blocks(context, stage.pooling, std::move(map));
  const Variable tokens = run_blocks(context, stage.blocks, map_as_tokens(context, map), layout);
  context.observe(stage.path, tokens);
  return tokens;
}

std::vector<Feature> EfficientFormerBackbone::forward(const Context& context,
                                                      const Variable& images) const {
  Variable map = map_of_pictures(context, images, config_.in_channels, "efficientformer");
  const std::vector<TokenLayout> grids = layouts(images.size(2), images.size(3));
  const LinearEpilogue activated{.activation = kernels::Activation::relu};
  map = stem2_.forward(context, stem1_.forward(context, map, activated), activated);
  context.observe("stem", map);
  std::vector<Feature> features;
  for (size_t i = 0; i < stages_.size(); ++i) {
    Variable tokens = run_stage(context, stages_[i], grids[i], std::move(map));
    if (i + 1 == stages_.size()) {
      tokens = norm_->forward(context, tokens);
      context.observe("norm", tokens);
    }
    features.push_back({.tokens = tokens, .layout = grids[i]});
    map = reshape(context, tokens,
                  {tokens.size(0), grids[i].grid_height, grids[i].grid_width, tokens.size(2)});
  }
  return features;
}

std::vector<BlockPlace> EfficientFormerBackbone::blocks() const {
  std::vector<BlockPlace> places;
  for (size_t i = 0; i < stages_.size(); ++i) {
    add_places(stages_[i].pooling, i, &places);
    add_places(stages_[i].blocks, i, &places);
  }
  return places;
}

std::vector<AttentionLayer> EfficientFormerBackbone::attentions() const {
  return attention_layers(stages_);
}

void EfficientFormerBackbone::visit_linears(const VisitLinear& visit) {
  visit_stages(stages_, visit);
}

void EfficientFormerBackbone::count(CostCounter& counter, int64_t picture_height,
                                    int64_t picture_width) const {
  const std::vector<TokenLayout> grids = layouts(picture_height, picture_width);
  const int64_t half_height = stem1_.cells(picture_height),
                half_width = stem1_.cells(picture_width);
  counter.add({.path = "stem",
               .output = {grids.front().patches(), stem2_.outputs()},
               .multiply_adds = stem1_.multiply_adds(picture_height, picture_width) +
                                stem2_.multiply_adds(half_height, half_width),
               .values = picture_height * picture_width * config_.in_channels +
                         half_height * half_width * stem1_.outputs() +
                         grids.front().patches() * stem2_.outputs()});
  for (size_t i = 0; i < stages_.size(); ++i) {
    const Stage& stage = stages_[i];
    if (stage.downsample)
      counter.add({.path = stage.path + ".downsample",
                   .output = {grids[i].patches(), stage.downsample->outputs()},
                   .multiply_adds = stage.downsample->multiply_adds(grids[i - 1].grid_height,
                                                                    grids[i - 1].grid_width)});
    for (const auto& block : stage.pooling) block->count(counter, grids[i]);
    for (const auto& block : stage.blocks) block->count(counter, grids[i]);
  }
}

std::shared_ptr<Network> make_network(const EfficientFormerConfig& config) {
  return std::make_shared<ClassifierOf<EfficientFormerBackbone>>(
      config, ClassifierConfig{.embed_dim = config.embed_dims.back(),
                               .pooling = Pooling::mean,
                               .answer = config.class_answer(),
                               .pooled_distillation = true});
}

}  // namespace vitrail
