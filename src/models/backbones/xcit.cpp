#include "models/backbones/xcit.h"

#include "core/error.h"
#include "models/backbones/stages.h"
#include "models/classifier.h"
#include "ops/dropout.h"
#include "ops/elementwise.h"
#include "ops/tokens.h"

namespace vitrail {
namespace {

int64_t halvings_of(const XcitConfig& c) {
  return c.patch_size == 8 ? 3 : 4;
}

Parameter& channel_scale(const Scope& scope, const char* name, const XcitConfig& c) {
  return scope.parameter(name, {c.embed_dim}, Initializer::constant(c.layer_scale_init),
                         ParameterRole::Kind::scale);
}

MlpConfig mlp_of(const XcitConfig& c, double dropout) {
  return {.inputs = c.embed_dim,
          .hidden = c.mlp_hidden_dim,
          .activation = c.activation,
          .epsilon = c.layer_norm_epsilon,
          .dropout = dropout};
}

}  // namespace

class XcitBlock {
 public:
  XcitBlock(const Scope& scope, const XcitConfig& c)
      : path_(scope.path()),
        attention_path_(path_ + ".attn.proj"),
        local_path_(path_ + ".local_mp"),
        mlp_path_(path_ + ".mlp.fc2"),
        dropout_(c.dropout),
        drop_path_(c.drop_path),
        norm1_(scope.child("norm1"), c.embed_dim, c.layer_norm_epsilon),
        attn_(scope.child("attn"), {.embed_dim = c.embed_dim,
                                    .num_heads = c.num_heads,
                                    .qkv_bias = c.qkv_bias,
                                    .dropout = c.attention_dropout}),
        scale1_(channel_scale(scope, "gamma1", c)),
        norm3_(scope.child("norm3"), c.embed_dim, c.layer_norm_epsilon),
        local_(scope.child("local_mp"), c.embed_dim, c.activation),
        scale3_(channel_scale(scope, "gamma3", c)),
        norm2_(scope.child("norm2"), c.embed_dim, c.layer_norm_epsilon),
        mlp_(scope.child("mlp"), mlp_of(c, c.dropout)),
        scale2_(channel_scale(scope, "gamma2", c)) {}

  // [B, N, D] to the same. The third norm comes second, as in the authors' code.
  Variable forward(const Context& context, const Variable& x, const TokenLayout& layout) const {
    const Variable y = attn_.forward(context, norm1_.before(x),
                                     {.dropout = dropout_,
                                      .layer_scale = &scale1_,
                                      .drop_path = drop_path_,
                                      .residual = &x,
                                      .path = attention_path_});
    const Variable z = local_.forward(
        context, norm3_.forward(context, y), layout.grid_height, layout.grid_width,
        {.layer_scale = &scale3_, .drop_path = drop_path_, .residual = &y, .path = local_path_});
    return mlp_.forward(context, norm2_.before(z),
                        {.dropout = dropout_,
                         .layer_scale = &scale2_,
                         .drop_path = drop_path_,
                         .residual = &z,
                         .path = mlp_path_,
                         .destination = context.tape == nullptr ? &z.value() : nullptr});
  }
  const std::string& path() const { return path_; }
  void visit_linears(const VisitLinear& visit) {
    attn_.visit_linears(visit);
    mlp_.visit_linears(visit);
  }
  void count(CostCounter& counter, int64_t patches) const {
    counter.add(attn_.cost(patches));
    counter.add(local_.cost(patches));
    counter.add(mlp_.cost(patches));
  }

 private:
  std::string path_, attention_path_, local_path_, mlp_path_;
  double dropout_, drop_path_;
  LayerNorm norm1_;
  ChannelAttention attn_;
  Parameter& scale1_;
  LayerNorm norm3_;
  LocalPatchInteraction local_;
  Parameter& scale3_;
  LayerNorm norm2_;
  Mlp mlp_;
  Parameter& scale2_;
};

// Class attention as the authors trained it: what is normalised before attention is added to the
// patches, too, and the patches are doubled behind it, since the block adds them to themselves.
class XcitClassBlock {
 public:
  XcitClassBlock(const Scope& scope, const XcitConfig& c)
      : path_(scope.path()),
        tokens_norm_(c.tokens_norm),
        norm1_(scope.child("norm1"), c.embed_dim, c.layer_norm_epsilon),
        attn_(scope.child("attn"), {.embed_dim = c.embed_dim,
                                    .memory_dim = c.embed_dim,
                                    .num_heads = c.num_heads,
                                    .head_dim = c.embed_dim / c.num_heads,
                                    .qkv_bias = c.qkv_bias,
                                    .dropout = c.attention_dropout}),
        scale1_(channel_scale(scope, "gamma1", c)),
        norm2_(scope.child("norm2"), c.embed_dim, c.layer_norm_epsilon),
        mlp_(scope.child("mlp"), mlp_of(c, c.dropout)),
        scale2_(channel_scale(scope, "gamma2", c)) {}

  // [B, 1 + N, D] to the same.
  Variable forward(const Context& context, const Variable& x) const {
    const auto first = [&](const Variable& tokens) { return slice(context, tokens, 1, 0, 1); };
    const auto patches_of = [&](const Variable& tokens) {
      return slice(context, tokens, 1, 1, tokens.size(1));
    };
    const Variable normed = norm1_.forward(context, x);
    const Variable token = first(x);
    const Variable asked = attn_.forward(context, first(normed), normed,
                                         {.layer_scale = &scale1_, .residual = &token});
    Variable patches =
        add(context, patches_of(x), layer_scale(context, patches_of(normed), scale1_));
    if (tokens_norm_) patches = norm2_.forward(context, patches);
    const Variable answer = norm2_.forward(context, asked);
    const std::vector<Variable> parts{
        mlp_.forward(context, answer, {.layer_scale = &scale2_, .residual = &answer}),
        scale(context, patches, 2)};
    return concatenate(context, parts, 1);
  }
  const std::string& path() const { return path_; }
  const CrossAttention& attention() const { return attn_; }
  void visit_linears(const VisitLinear& visit) {
    attn_.visit_linears(visit);
    mlp_.visit_linears(visit);
  }
  void count(CostCounter& counter, int64_t patches) const {
    counter.add(attn_.cost(1, 1 + patches));
    counter.add(mlp_.cost(1));
  }

 private:
  std::string path_;
  bool tokens_norm_;
  LayerNorm norm1_;
  CrossAttention attn_;
  Parameter& scale1_;
  LayerNorm norm2_;
  Mlp mlp_;
  Parameter& scale2_;
};

XcitBackbone::XcitBackbone(const Scope& root, const XcitConfig& c)
    : config_(c),
      patch_embed_(root.in(ParameterPlace::Section::stem).child("patch_embed"),
                   {.channels = c.in_channels,
                    .embed_dim = c.embed_dim,
                    .halvings = halvings_of(c),
                    .activation = c.activation}),
      cls_token_(root.in(ParameterPlace::Section::stem)
                     .parameter("cls_token", {1, 1, c.embed_dim},
                                Initializer::truncated_normal(0.02), ParameterRole::Kind::token)),
      norm_(root.in(ParameterPlace::Section::final_norm).child("norm"), c.embed_dim,
            c.layer_norm_epsilon) {
  if (c.fourier_positions)
    position_.emplace(root.in(ParameterPlace::Section::stem).child("pos_embed"), c.embed_dim);
  for (int64_t i = 0; i < c.depth; ++i)
    blocks_.push_back(std::make_unique<XcitBlock>(root.child("blocks").child(i).in_block(i), c));
  for (int64_t i = 0; i < c.class_depth; ++i)
    class_blocks_.push_back(std::make_unique<XcitClassBlock>(
        root.child("cls_attn_blocks").child(i).in_block(c.depth + i), c));
}

XcitBackbone::~XcitBackbone() = default;

std::vector<TokenLayout> XcitBackbone::layouts(int64_t picture_height,
                                               int64_t picture_width) const {
  check(picture_height > 0 && picture_width > 0, "xcit", "a picture of {}x{} has no pixels",
        picture_height, picture_width);
  return {{.class_tokens = 1,
           .grid_height = patch_embed_.cells(picture_height),
           .grid_width = patch_embed_.cells(picture_width),
           .patch_height = config_.patch_size,
           .patch_width = config_.patch_size,
           .of_feature_map = true}};
}

std::vector<Feature> XcitBackbone::forward(const Context& context, const Variable& images) const {
  check(images.shape().rank() == 4 && images.size(1) == config_.in_channels, "xcit",
        "this model takes [B, {}, H, W], not {}", config_.in_channels, images.shape().str());
  const TokenLayout layout = this->layout(images.size(2), images.size(3));
  TokenLayout patches = layout;
  patches.class_tokens = 0;
  Variable x = reshape(context, patch_embed_.forward(context, images),
                       {images.size(0), layout.patches(), config_.embed_dim});
  context.observe("patch_embed", x);
  if (position_) x = add_broadcast(context, x, position_->table(context, patches));
  x = dropout(context, x, config_.position_dropout, "pos_drop");
  context.observe("tokens", x);
  x = run_blocks(context, blocks_, x, layout);
  const std::vector<Variable> parts{cls_token_.variable(), x};
  x = concatenate(context, parts, 1);
  for (const auto& block : class_blocks_) {
    x = block->forward(context, x);
    context.observe(block->path(), x);
  }
  x = norm_.forward(context, x);
  context.observe("norm", x);
  return {{.tokens = x, .layout = layout}};
}

std::vector<BlockPlace> XcitBackbone::blocks() const {
  std::vector<BlockPlace> places;
  for (const auto& block : blocks_) places.push_back({.path = block->path()});
  for (const auto& block : class_blocks_) places.push_back({.path = block->path()});
  return places;
}

std::vector<AttentionLayer> XcitBackbone::attentions() const {
  std::vector<AttentionLayer> layers;
  for (const auto& block : class_blocks_)
    layers.push_back({.path = block->attention().path(),
                      .heads = block->attention().heads(),
                      .of_its_tokens = false});  // one query: the class token
  return layers;
}

AttentionGrids XcitBackbone::attention_grids(const AttentionLayer&, int64_t picture_height,
                                             int64_t picture_width) const {
  const TokenLayout all = layout(picture_height, picture_width);
  TokenLayout token = all;
  token.grid_height = token.grid_width = 0;
  return {token, all};
}

void XcitBackbone::visit_linears(const VisitLinear& visit) {
  for (const auto& block : blocks_) block->visit_linears(visit);
  for (const auto& block : class_blocks_) block->visit_linears(visit);
}

void XcitBackbone::count(CostCounter& counter, int64_t picture_height,
                         int64_t picture_width) const {
  const int64_t patches = layout(picture_height, picture_width).patches();
  counter.add(patch_embed_.cost(picture_height, picture_width));
  for (const auto& block : blocks_) block->count(counter, patches);
  for (const auto& block : class_blocks_) block->count(counter, patches);
}

namespace {

class Xcit : public Classifier {
 public:
  explicit Xcit(const XcitConfig& config)
      : Classifier(config), backbone_(Scope(parameters()), config) {
    make_head({.embed_dim = config.embed_dim,
               .pooling = config.pooling,
               .epsilon = config.layer_norm_epsilon,
               .answer = config.class_answer()});
  }
  const XcitBackbone& backbone() const override { return backbone_; }

 protected:
  XcitBackbone& own_backbone() override { return backbone_; }

 private:
  XcitBackbone backbone_;
};

}  // namespace

std::shared_ptr<Network> make_network(const XcitConfig& config) {
  return std::make_shared<Xcit>(config);
}

}  // namespace vitrail
