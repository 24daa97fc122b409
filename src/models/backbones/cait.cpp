#include "models/backbones/cait.h"

#include "autograd/checkpoint.h"
#include "core/error.h"
#include "models/classifier.h"
#include "ops/dropout.h"
#include "ops/elementwise.h"
#include "ops/tokens.h"

namespace vitrail {
namespace {

PatchEmbeddingConfig patches_of(const CaitConfig& c) {
  return {.channels = c.in_channels,
          .embed_dim = c.embed_dim,
          .patch_height = c.patch_size,
          .patch_width = c.patch_size,
          .channels_last = c.patch_embedding == PatchEmbedding::linear,
          .norms = c.patch_norm,
          .epsilon = c.layer_norm_epsilon};
}

PositionConfig positions_of(const CaitConfig& c) {
  const bool own = c.position_grid_height == 0;
  return {.kind = Position::learned,
          .embed_dim = c.embed_dim,
          .grid_height = own ? c.image_height / c.patch_size : c.position_grid_height,
          .grid_width = own ? c.image_width / c.patch_size : c.position_grid_width};
}

BlockConfig block_of(const CaitConfig& c) {
  return {.attention = {.embed_dim = c.embed_dim,
                        .num_heads = c.num_heads,
                        .head_dim = c.head_size(),
                        .qkv_bias = c.qkv_bias,
                        .mixing = c.head_mixing,
                        .epsilon = c.layer_norm_epsilon,
                        .dropout = c.attention_dropout},
          .mlp = {.inputs = c.embed_dim,
                  .hidden = c.mlp_hidden_dim,
                  .activation = c.activation,
                  .epsilon = c.layer_norm_epsilon,
                  .dropout = c.dropout},
          .epsilon = c.layer_norm_epsilon,
          .layer_scale = true,
          .layer_scale_init = c.layer_scale_init,
          .dropout = c.dropout,
          .drop_path = c.drop_path};
}

Parameter& class_scale(const Scope& scope, const char* name, const CaitConfig& c) {
  return scope.child(name).parameter("gamma", {c.embed_dim},
                                     Initializer::constant(c.layer_scale_init),
                                     ParameterRole::Kind::scale);
}

}  // namespace

ClassBlock::ClassBlock(const Scope& scope, const CaitConfig& c)
    : path_(scope.path()),
      norms_patches_(c.class_norms_patches),
      norm1_(scope.child("norm1"), c.embed_dim, c.layer_norm_epsilon),
      attn_(scope.child("attn"),
            {.embed_dim = c.embed_dim,
             .memory_dim = c.embed_dim,
             .num_heads = c.num_heads,
             .head_dim = c.head_size(),
             .qkv_bias = c.qkv_bias,
             .mixing = c.class_head_mixing ? c.head_mixing : HeadMixingKind::none}),
      scale1_(class_scale(scope, "ls1", c)),
      norm2_(scope.child("norm2"), c.embed_dim, c.layer_norm_epsilon),
      mlp_(scope.child("mlp"), {.inputs = c.embed_dim,
                                .hidden = c.class_mlp_hidden_dim,
                                .activation = c.activation,
                                .epsilon = c.layer_norm_epsilon}),
      scale2_(class_scale(scope, "ls2", c)) {}

Variable ClassBlock::forward(const Context& context, const Variable& token,
                             const Variable& patches) const {
  const auto memory_of = [&](const Variable& first) {
    const std::vector<Variable> parts{first, patches};
    return concatenate(context, parts, 1);
  };
  Variable y;
  if (norms_patches_) {
    const Variable all = memory_of(token);
    y = attn_.forward(context, norm1_.before(token), norm1_.before(all),
                      {.layer_scale = &scale1_, .residual = &token});
  } else {
    const Variable asking = norm1_.forward(context, token);
    y = attn_.forward(context, asking, memory_of(asking),
                      {.layer_scale = &scale1_, .residual = &token});
  }
  return mlp_.forward(context, norm2_.before(y), {.layer_scale = &scale2_, .residual = &y});
}

CaitBackbone::CaitBackbone(const Scope& root, const CaitConfig& c)
    : config_(c),
      patch_embed_(root.in(ParameterPlace::Section::stem).child("patch_embed"), patches_of(c)),
      cls_token_(root.in(ParameterPlace::Section::stem)
                     .parameter("cls_token", {1, 1, c.embed_dim},
                                Initializer::truncated_normal(0.02), ParameterRole::Kind::token)),
      position_(root.in(ParameterPlace::Section::stem), positions_of(c)),
      norm_(root.in(ParameterPlace::Section::final_norm).child("norm"), c.embed_dim,
            c.layer_norm_epsilon) {
  for (int64_t i = 0; i < c.depth; ++i)
    blocks_.push_back(
        std::make_unique<Block>(root.child("blocks").child(i).in_block(i), block_of(c)));
  for (int64_t i = 0; i < c.class_depth; ++i)
    class_blocks_.push_back(std::make_unique<ClassBlock>(
        root.child("blocks_token_only").child(i).in_block(c.depth + i), c));
}

std::vector<TokenLayout> CaitBackbone::layouts(int64_t picture_height,
                                               int64_t picture_width) const {
  const int64_t patch = config_.patch_size;
  check(picture_height > 0 && picture_width > 0 && picture_height % patch == 0 &&
            picture_width % patch == 0,
        "cait", "a picture of {}x{} is not a whole number of patches of {} pixels", picture_height,
        picture_width, patch);
  return {{.class_tokens = 1,
           .grid_height = picture_height / patch,
           .grid_width = picture_width / patch,
           .patch_height = patch,
           .patch_width = patch}};
}

std::vector<Feature> CaitBackbone::forward(const Context& context, const Variable& images) const {
  check(images.shape().rank() == 4 && images.size(1) == config_.in_channels, "cait",
        "this model takes [B, {}, H, W], not {}", config_.in_channels, images.shape().str());
  const TokenLayout layout = this->layout(images.size(2), images.size(3));
  TokenLayout patches = layout;
  patches.class_tokens = 0;
  Variable x = patch_embed_.forward(context, images);
  context.observe("patch_embed", x);
  x = add_broadcast(context, x, position_.table(context, patches));
  x = dropout(context, x, config_.position_dropout, "pos_drop");
  context.observe("tokens", x);
  for (const auto& block : blocks_) {
    const auto run = [&block](const Context& inner, const Variable& input) {
      return block->forward(inner, input);
    };
    x = context.activation_checkpointing ? checkpoint(context, x, run)
                                         : block->forward(context, std::move(x));
    context.observe(block->path(), x);
  }
  const std::vector<Variable> copies(static_cast<size_t>(x.size(0)), cls_token_.variable());
  Variable token = concatenate(context, copies, 0);
  for (const auto& block : class_blocks_) {
    token = block->forward(context, token, x);
    context.observe(block->path(), token);
  }
  const std::vector<Variable> parts{token, x};
  const Variable tokens = norm_.forward(context, concatenate(context, parts, 1));
  context.observe("norm", tokens);
  return {{.tokens = tokens, .layout = layout}};
}

std::vector<BlockPlace> CaitBackbone::blocks() const {
  std::vector<BlockPlace> places;
  for (const auto& block : blocks_) places.push_back({.path = block->path()});
  for (const auto& block : class_blocks_) places.push_back({.path = block->path()});
  return places;
}

std::vector<AttentionLayer> CaitBackbone::attentions() const {
  std::vector<AttentionLayer> layers;
  for (const auto& block : blocks_)
    layers.push_back({.path = block->attention().path(),
                      .heads = block->attention().heads(),
                      .of_its_tokens = false});  // of the patches, without the class token
  for (const auto& block : class_blocks_)
    layers.push_back({.path = block->attention().path(),
                      .heads = block->attention().heads(),
                      .of_its_tokens = false});  // one query: the class token
  return layers;
}

AttentionGrids CaitBackbone::attention_grids(const AttentionLayer& layer, int64_t picture_height,
                                             int64_t picture_width) const {
  const TokenLayout all = layout(picture_height, picture_width);
  TokenLayout patches = all;
  patches.class_tokens = 0;
  if (layer.path.starts_with("blocks.")) return {patches, patches};
  TokenLayout token = all;
  token.grid_height = token.grid_width = 0;
  return {token, all};
}

void CaitBackbone::visit_linears(const VisitLinear& visit) {
  for (const auto& block : blocks_) block->visit_linears(visit);
  for (const auto& block : class_blocks_) block->visit_linears(visit);
}

void CaitBackbone::count(CostCounter& counter, int64_t picture_height,
                         int64_t picture_width) const {
  const int64_t patches = layout(picture_height, picture_width).patches();
  counter.add(patch_embed_.cost(patches));
  for (const auto& block : blocks_) block->count(counter, patches);
  for (const auto& block : class_blocks_) block->count(counter, patches);
}

namespace {

class Cait : public Classifier {
 public:
  explicit Cait(const CaitConfig& config)
      : Classifier(config), backbone_(Scope(parameters()), config) {
    make_head({.embed_dim = config.embed_dim,
               .pooling = config.pooling,
               .epsilon = config.layer_norm_epsilon,
               .answer = config.class_answer()});
  }
  const CaitBackbone& backbone() const override { return backbone_; }

 protected:
  CaitBackbone& own_backbone() override { return backbone_; }

 private:
  CaitBackbone backbone_;
};

}  // namespace

std::shared_ptr<Network> make_network(const CaitConfig& config) {
  return std::make_shared<Cait>(config);
}

}  // namespace vitrail
