#include "models/backbones/pvt_v2.h"

#include <nlohmann/json.hpp>
#include <numeric>

#include "core/error.h"
#include "models/backbones/stages.h"
#include "models/classifier.h"
#include "ops/tokens.h"

namespace vitrail {
namespace {

constexpr int64_t kPooledSide = 7;  // of linear attention

constexpr auto kPvtFields = [](auto& c, auto visit) {
  kPictureNetworkFields(c, visit);
  visit("depths", c.depths);
  visit("embed_dims", c.embed_dims);
  visit("num_heads", c.num_heads);
  visit("reductions", c.reductions);
  visit("mlp_hidden_dims", c.mlp_hidden_dims);
  visit("patch_sizes", c.patch_sizes);
  visit("strides", c.strides);
  visit("linear_attention", c.linear_attention);
  visit("qkv_bias", c.qkv_bias);
  visit("activation", c.activation);
  visit("layer_norm_epsilon", c.layer_norm_epsilon);
  visit("inner_norm_epsilon", c.inner_norm_epsilon);
  visit("dropout", c.dropout);
  visit("attention_dropout", c.attention_dropout);
};

OverlapEmbeddingConfig embedding_of(const PvtV2Config& c, size_t stage) {
  return {.channels = stage == 0 ? c.in_channels : c.embed_dims[stage - 1],
          .embed_dim = c.embed_dims[stage],
          .kernel = c.patch_sizes[stage],
          .stride = c.strides[stage],
          .epsilon = c.inner_norm_epsilon};
}

// The grid of a stage, of so many pixels along an axis.
int64_t cells_of(const PvtV2Config& c, size_t stage, int64_t pixels) {
  for (size_t i = 0; i <= stage; ++i) pixels = (pixels - 1) / c.strides[i] + 1;
  return pixels;
}

}  // namespace

int64_t PvtV2Config::num_blocks() const {
  return std::accumulate(depths.begin(), depths.end(), int64_t{0});
}

void PvtV2Config::validate() const {
  constexpr int64_t kMostHeads = 65536, kMostDepth = 1024, kMostStride = 64;
  check_common();
  check_stages("depths", depths.size(),
               {{"depths", depths, 1, kMostDepth},
                {"embed_dims", embed_dims},
                {"num_heads", num_heads, 1, kMostHeads},
                {"reductions", reductions, 1, kMostStride},
                {"mlp_hidden_dims", mlp_hidden_dims, 1, int64_t{1} << 20},
                {"patch_sizes", patch_sizes, 1, kMostStride},
                {"strides", strides, 1, kMostStride}});
  for (size_t i = 0; i < depths.size(); ++i) {
    check(embed_dims[i] % num_heads[i] == 0, kConfigPlace,
          "num_heads {} of stage {} does not divide its embed_dims, {}", num_heads[i], i,
          embed_dims[i]);
    check(patch_sizes[i] % 2 == 1, kConfigPlace, "patch_sizes must be odd, and stage {} has {}", i,
          patch_sizes[i]);
    const int64_t rows = cells_of(*this, i, image_height);
    const int64_t columns = cells_of(*this, i, image_width);
    check(linear_attention || (rows >= reductions[i] && columns >= reductions[i]), kConfigPlace,
          "a picture of {}x{} gives stage {} a grid of {}x{}, which its reduction of {} does not "
          "fit into; larger pictures do",
          image_height, image_width, i, rows, columns, reductions[i]);
  }
  check_epsilon("layer_norm_epsilon", layer_norm_epsilon);
  check_epsilon("inner_norm_epsilon", inner_norm_epsilon);
  check_rate("dropout", dropout);
  check_rate("attention_dropout", attention_dropout);
}

void write_fields(const PvtV2Config& config, nlohmann::json& out) {
  out.update(fields_to_json(config, kPvtFields));
}

PvtV2Config pvt_v2_config_from_json(const nlohmann::json& in) {
  return config_from_fields<PvtV2Config>(kPvtFields, in);
}

void set_field(PvtV2Config& config, const std::string& name, const std::string& value) {
  set_config_field(config, kPvtFields, name, value);
}

class PvtV2Block {
 public:
  PvtV2Block(const Scope& scope, const PvtV2Config& c, size_t stage, double drop_path)
      : path_(scope.path()),
        attention_path_(path_ + ".attn.proj"),
        mlp_path_(path_ + ".mlp.fc2"),
        dropout_(c.dropout),
        drop_path_(drop_path),
        norm1_(scope.child("norm1"), c.embed_dims[stage], c.layer_norm_epsilon),
        attn_(scope.child("attn"), {.embed_dim = c.embed_dims[stage],
                                    .num_heads = c.num_heads[stage],
                                    .reduction = c.linear_attention ? 1 : c.reductions[stage],
                                    .pooled_side = c.linear_attention ? kPooledSide : 0,
                                    .qkv_bias = c.qkv_bias,
                                    .epsilon = c.inner_norm_epsilon,
                                    .dropout = c.attention_dropout}),
        norm2_(scope.child("norm2"), c.embed_dims[stage], c.layer_norm_epsilon),
        mlp_(scope.child("mlp"), {.inputs = c.embed_dims[stage],
                                  .hidden = c.mlp_hidden_dims[stage],
                                  .relu_first = c.linear_attention,
                                  .activation = c.activation,
                                  .dropout = c.dropout}) {}

  // [B, N, D], both.
  Variable forward(const Context& context, const Variable& x, const TokenLayout& layout) const {
    const int64_t height = layout.grid_height, width = layout.grid_width;
    const Variable y = attn_.forward(
        context, norm1_.forward(context, x), height, width,
        {.dropout = dropout_, .drop_path = drop_path_, .residual = &x, .path = attention_path_});
    return mlp_.forward(
        context, norm2_.before(y), height, width,
        {.dropout = dropout_, .drop_path = drop_path_, .residual = &y, .path = mlp_path_});
  }

  const std::string& path() const { return path_; }
  const ReducedAttention& attention() const { return attn_; }
  void visit_linears(const VisitLinear& visit) {
    attn_.visit_linears(visit);
    mlp_.visit_linears(visit);
  }
  void count(CostCounter& counter, const TokenLayout& layout) const {
    counter.add(attn_.cost(layout.grid_height, layout.grid_width));
    counter.add(mlp_.cost(layout.patches()));
  }

 private:
  std::string path_, attention_path_, mlp_path_;
  double dropout_, drop_path_;
  LayerNorm norm1_;
  ReducedAttention attn_;
  LayerNorm norm2_;
  DepthwiseMlp mlp_;
};

PvtV2Backbone::PvtV2Backbone(const Scope& root, const PvtV2Config& c)
    : in_channels_(c.in_channels),
      patch_embed_(root.in(ParameterPlace::Section::stem).child("patch_embed"), embedding_of(c, 0)),
      embed_dim_(c.embed_dims.back()) {
  int64_t block = 0;  // over all stages
  for (size_t i = 0; i < c.depths.size(); ++i) {
    const Scope below = root.child("stages").child(static_cast<int64_t>(i));
    Stage& stage = stages_.emplace_back();
    stage.path = below.path();
    if (i > 0)
      stage.downsample.emplace(below.in_block(block).child("downsample"), embedding_of(c, i));
    for (int64_t j = 0; j < c.depths[i]; ++j, ++block)
      stage.blocks.push_back(
          std::make_unique<PvtV2Block>(below.child("blocks").child(j).in_block(block), c, i,
                                       drop_path_of_block(c.drop_path, block, c.num_blocks())));
    stage.norm.emplace(below.in_block(block - 1).child("norm"), c.embed_dims[i],
                       c.layer_norm_epsilon);
  }
}

PvtV2Backbone::~PvtV2Backbone() = default;

std::vector<TokenLayout> PvtV2Backbone::layouts(int64_t picture_height,
                                                int64_t picture_width) const {
  check(picture_height > 0 && picture_width > 0, "pvt_v2", "a picture of {}x{} has no pixels",
        picture_height, picture_width);
  std::vector<TokenLayout> layouts;
  int64_t height = patch_embed_.cells(picture_height), width = patch_embed_.cells(picture_width);
  for (const Stage& stage : stages_) {
    if (stage.downsample) {
      height = stage.downsample->cells(height);
      width = stage.downsample->cells(width);
    }
    layouts.push_back(map_layout(height, width, picture_height, picture_width));
  }
  return layouts;
}

std::vector<Feature> PvtV2Backbone::forward(const Context& context, const Variable& images) const {
  const Variable pictures = map_of_pictures(context, images, in_channels_, "pvt_v2");
  const std::vector<TokenLayout> grids = layouts(images.size(2), images.size(3));
  std::vector<Feature> features;
  Variable grid = patch_embed_.forward(context, pictures);  // [B, height, width, D]
  context.observe("patch_embed", grid);
  for (size_t i = 0; i < stages_.size(); ++i) {
    const Stage& stage = stages_[i];
    if (stage.downsample) grid = stage.downsample->forward(context, grid);
    Variable tokens = run_blocks(context, stage.blocks, map_as_tokens(context, grid), grids[i]);
    tokens = stage.norm->forward(context, tokens);
    context.observe(stage.path, tokens);
    features.push_back({.tokens = tokens, .layout = grids[i]});
    grid = reshape(context, tokens, grid.shape());
  }
  return features;
}

int64_t PvtV2Backbone::embed_dim() const {
  return embed_dim_;
}

std::vector<BlockPlace> PvtV2Backbone::blocks() const {
  return places_of(stages_);
}

std::vector<AttentionLayer> PvtV2Backbone::attentions() const {
  return attention_layers(stages_);
}

AttentionGrids PvtV2Backbone::attention_grids(const AttentionLayer& layer, int64_t picture_height,
                                              int64_t picture_width) const {
  const auto stage = static_cast<size_t>(layer.stage);
  return reduced_grids(stages_[stage].blocks.front()->attention(),
                       layouts(picture_height, picture_width)[stage], picture_height,
                       picture_width);
}

void PvtV2Backbone::visit_linears(const VisitLinear& visit) {
  visit_stages(stages_, visit);
}

void PvtV2Backbone::count(CostCounter& counter, int64_t picture_height,
                          int64_t picture_width) const {
  const std::vector<TokenLayout> grids = layouts(picture_height, picture_width);
  counter.add(patch_embed_.cost(picture_height, picture_width));
  for (size_t i = 0; i < stages_.size(); ++i) {
    const Stage& stage = stages_[i];
    if (stage.downsample)
      counter.add(stage.downsample->cost(grids[i - 1].grid_height, grids[i - 1].grid_width));
    for (const auto& block : stage.blocks) block->count(counter, grids[i]);
  }
}

std::shared_ptr<Network> make_network(const PvtV2Config& config) {
  return std::make_shared<ClassifierOf<PvtV2Backbone>>(
      config, ClassifierConfig{.embed_dim = config.embed_dims.back(),
                               .pooling = Pooling::mean,
                               .answer = config.class_answer()});
}

}  // namespace vitrail
