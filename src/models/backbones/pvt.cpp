#include "models/backbones/pvt.h"

#include <array>
#include <numeric>

#include "models/backbones/stages.h"
#include "models/classifier.h"
#include "nn/mlp.h"
#include "nn/reduced_attention.h"
#include "ops/elementwise.h"
#include "ops/tokens.h"

namespace vitrail {
namespace {

constexpr auto kPvtV1Fields = [](auto& c, auto visit) {
  kPictureNetworkFields(c, visit);
  visit("depths", c.depths);
  visit("embed_dims", c.embed_dims);
  visit("num_heads", c.num_heads);
  visit("reductions", c.reductions);
  visit("mlp_hidden_dims", c.mlp_hidden_dims);
  visit("patch_sizes", c.patch_sizes);
  visit("qkv_bias", c.qkv_bias);
  visit("activation", c.activation);
  visit("layer_norm_epsilon", c.layer_norm_epsilon);
};

// What is behind the last whole patch is left out, stage by stage.
TokenLayout layout_of_stage(const PvtConfig& c, size_t stage) {
  int64_t height = c.image_height, width = c.image_width;
  for (size_t i = 0; i <= stage; ++i) {
    height /= c.patch_sizes[i];
    width /= c.patch_sizes[i];
  }
  return {.class_tokens = stage + 1 == c.depths.size() ? 1 : 0,
          .grid_height = height,
          .grid_width = width,
          .patch_height = height == 0 ? 0 : c.image_height / height,
          .patch_width = width == 0 ? 0 : c.image_width / width,
          .of_feature_map = true};
}

}  // namespace

int64_t PvtConfig::num_blocks() const {
  return std::accumulate(depths.begin(), depths.end(), int64_t{0});
}

void PvtConfig::set_image_size(int64_t height, int64_t width) {
  check(height == image_height && width == image_width, kConfigPlace,
        "PVT's positions are of pictures of {}x{}, and its library has no rule for {}x{}",
        image_height, image_width, height, width);
}

void PvtConfig::validate() const {
  constexpr int64_t kMostHeads = 65536, kMostDepth = 1024, kMostSide = 64;
  check_common();
  check_stages("depths", depths.size(),
               {{"depths", depths, 1, kMostDepth},
                {"embed_dims", embed_dims},
                {"num_heads", num_heads, 1, kMostHeads},
                {"reductions", reductions, 1, kMostSide},
                {"mlp_hidden_dims", mlp_hidden_dims, 1, int64_t{1} << 20},
                {"patch_sizes", patch_sizes, 1, kMostSide}});
  for (size_t i = 0; i < depths.size(); ++i) {
    check(embed_dims[i] % num_heads[i] == 0, kConfigPlace,
          "num_heads {} of stage {} does not divide its embed_dims, {}", num_heads[i], i,
          embed_dims[i]);
    const TokenLayout layout = layout_of_stage(*this, i);
    check(layout.grid_height >= reductions[i] && layout.grid_width >= reductions[i], kConfigPlace,
          "a picture of {}x{} gives stage {} a grid of {}x{}, which its reduction of {} does not "
          "fit into; larger pictures do",
          image_height, image_width, i, layout.grid_height, layout.grid_width, reductions[i]);
  }
  check(reductions.back() == 1, kConfigPlace,
        "the last of reductions is {}; it must be 1, for its stage has a class token, which lies "
        "in no grid",
        reductions.back());
  check_epsilon("layer_norm_epsilon", layer_norm_epsilon);
}

void write_fields(const PvtConfig& config, nlohmann::json& out) {
  out.update(fields_to_json(config, kPvtV1Fields));
}

PvtConfig pvt_config_from_json(const nlohmann::json& in) {
  return config_from_fields<PvtConfig>(kPvtV1Fields, in);
}

void set_field(PvtConfig& config, const std::string& name, const std::string& value) {
  set_config_field(config, kPvtV1Fields, name, value);
}

class PvtBlock {
 public:
  PvtBlock(const Scope& scope, const PvtConfig& c, size_t stage, double drop_path)
      : path_(scope.path()),
        attention_path_(path_ + ".attn.proj"),
        mlp_path_(path_ + ".mlp.fc2"),
        drop_path_(drop_path),
        norm1_(scope.child("norm1"), c.embed_dims[stage], c.layer_norm_epsilon),
        attn_(scope.child("attn"), {.embed_dim = c.embed_dims[stage],
                                    .num_heads = c.num_heads[stage],
                                    .reduction = c.reductions[stage],
                                    .qkv_bias = c.qkv_bias,
                                    .epsilon = c.layer_norm_epsilon}),
        norm2_(scope.child("norm2"), c.embed_dims[stage], c.layer_norm_epsilon),
        mlp_(scope.child("mlp"), {.inputs = c.embed_dims[stage],
                                  .hidden = c.mlp_hidden_dims[stage],
                                  .activation = c.activation}) {}

  Variable forward(const Context& context, const Variable& x, const TokenLayout& layout) const {
    const Variable y =
        attn_.forward(context, norm1_.forward(context, x), layout.grid_height, layout.grid_width,
                      {.drop_path = drop_path_, .residual = &x, .path = attention_path_});
    return mlp_.forward(context, norm2_.before(y),
                        {.drop_path = drop_path_, .residual = &y, .path = mlp_path_});
  }
  const std::string& path() const { return path_; }
  const ReducedAttention& attention() const { return attn_; }
  void visit_linears(const VisitLinear& visit) {
    attn_.visit_linears(visit);
    mlp_.visit_linears(visit);
  }
  void count(CostCounter& counter, const TokenLayout& layout) const {
    counter.add(attn_.cost(layout.grid_height, layout.grid_width));
    counter.add(mlp_.cost(layout.tokens()));
  }

 private:
  std::string path_, attention_path_, mlp_path_;
  double drop_path_;
  LayerNorm norm1_;
  ReducedAttention attn_;
  LayerNorm norm2_;
  Mlp mlp_;
};

PvtBackbone::PvtBackbone(const Scope& root, const PvtConfig& c) : config_(c) {
  int64_t block = 0;  // over all stages
  for (size_t i = 0; i < c.depths.size(); ++i) {
    const Scope below = root.child("stages").child(static_cast<int64_t>(i));
    const Scope first = i == 0 ? below.in(ParameterPlace::Section::stem) : below.in_block(block);
    Stage& stage = stages_.emplace_back();
    stage.path = below.path();
    stage.layout = layout_of_stage(c, i);
    stage.patch_embed.emplace(
        first.child("patch_embed"),
        OverlapEmbeddingConfig{.channels = i == 0 ? c.in_channels : c.embed_dims[i - 1],
                               .embed_dim = c.embed_dims[i],
                               .kernel = c.patch_sizes[i],
                               .stride = c.patch_sizes[i],
                               .padding = 0,
                               .epsilon = c.layer_norm_epsilon});
    stage.positions =
        &first.parameter("pos_embed", {1, stage.layout.tokens(), c.embed_dims[i]},
                         Initializer::truncated_normal(0.02), ParameterRole::Kind::position);
    if (stage.layout.class_tokens > 0)
      stage.class_token =
          &first.parameter("cls_token", {1, 1, c.embed_dims[i]},
                           Initializer::truncated_normal(0.02), ParameterRole::Kind::token);
    for (int64_t j = 0; j < c.depths[i]; ++j, ++block)
      stage.blocks.push_back(
          std::make_unique<PvtBlock>(below.child("blocks").child(j).in_block(block), c, i,
                                     drop_path_of_block(c.drop_path, block, c.num_blocks())));
  }
  norm_.emplace(root.in(ParameterPlace::Section::final_norm).child("norm"), c.embed_dims.back(),
                c.layer_norm_epsilon);
}

PvtBackbone::~PvtBackbone() = default;

std::vector<TokenLayout> PvtBackbone::layouts(int64_t picture_height, int64_t picture_width) const {
  check(picture_height == config_.image_height && picture_width == config_.image_width, "pvt",
        "this model takes pictures of {}x{}, not {}x{}: its positions have no rule for others",
        config_.image_height, config_.image_width, picture_height, picture_width);
  std::vector<TokenLayout> layouts;
  for (const Stage& stage : stages_) layouts.push_back(stage.layout);
  return layouts;
}

std::vector<Feature> PvtBackbone::forward(const Context& context, const Variable& images) const {
  Variable grid = map_of_pictures(context, images, config_.in_channels, "pvt");
  (void)layouts(images.size(2), images.size(3));
  std::vector<Feature> features;
  for (size_t i = 0; i < stages_.size(); ++i) {
    const Stage& stage = stages_[i];
    const TokenLayout& layout = stage.layout;
    const int64_t batch = grid.size(0), dim = config_.embed_dims[i];
    grid = stage.patch_embed->forward(context, grid);
    context.observe(stage.path + ".patch_embed", grid);
    Variable tokens = map_as_tokens(context, grid);
    if (stage.class_token != nullptr) {
      const std::array parts{stage.class_token->variable(), tokens};
      tokens = concatenate(context, parts, 1);
    }
    tokens = add_broadcast(context, tokens, stage.positions->variable());
    tokens = run_blocks(context, stage.blocks, tokens, layout);
    const bool last = i + 1 == stages_.size();
    if (last) tokens = norm_->forward(context, tokens);
    context.observe(stage.path, tokens);
    features.push_back({.tokens = tokens, .layout = layout});
    if (!last) grid = reshape(context, tokens, {batch, layout.grid_height, layout.grid_width, dim});
  }
  return features;
}

int64_t PvtBackbone::embed_dim() const {
  return config_.embed_dims.back();
}

std::vector<BlockPlace> PvtBackbone::blocks() const {
  return places_of(stages_);
}

std::vector<AttentionLayer> PvtBackbone::attentions() const {
  return attention_layers(stages_);
}

AttentionGrids PvtBackbone::attention_grids(const AttentionLayer& layer, int64_t picture_height,
                                            int64_t picture_width) const {
  const auto stage = static_cast<size_t>(layer.stage);
  return reduced_grids(stages_[stage].blocks.front()->attention(),
                       layouts(picture_height, picture_width)[stage], picture_height,
                       picture_width);
}

void PvtBackbone::visit_linears(const VisitLinear& visit) {
  visit_stages(stages_, visit);
}

void PvtBackbone::count(CostCounter& counter, int64_t picture_height, int64_t picture_width) const {
  (void)layouts(picture_height, picture_width);
  int64_t height = picture_height, width = picture_width;
  for (const Stage& stage : stages_) {
    counter.add(stage.patch_embed->cost(height, width));
    height = stage.layout.grid_height;
    width = stage.layout.grid_width;
    for (const auto& block : stage.blocks) block->count(counter, stage.layout);
  }
}

std::shared_ptr<Network> make_network(const PvtConfig& config) {
  return std::make_shared<ClassifierOf<PvtBackbone>>(
      config, ClassifierConfig{.embed_dim = config.embed_dims.back(),
                               .pooling = Pooling::class_token,
                               .answer = config.class_answer()});
}

}  // namespace vitrail
