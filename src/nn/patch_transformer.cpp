#include "nn/patch_transformer.h"

#include <array>

#include "ops/group_norm.h"
#include "ops/tokens.h"

namespace vitrail {
namespace {

// Version 1: blocks of a plain Vision Transformer. The sequences are read where they lie in the
// map, as windows are.
class SelfAttentionTransformer : public PatchTransformer {
 public:
  SelfAttentionTransformer(const Scope& scope, const MobileVitBlockConfig& c)
      : patch_(c.patch), norm_(scope.child("norm"), c.embed_dim, c.epsilon) {
    const Scope blocks = scope.child("transformer");
    for (int64_t i = 0; i < c.depth; ++i)
      blocks_.push_back(std::make_unique<Block>(blocks.child(i), block_config(c)));
  }

  Variable forward(const Context& context, const Variable& map) const override {
    const TokenLayout layout{.grid_height = map.size(1), .grid_width = map.size(2)};
    const auto sequences = sequences_.get(layout, [&] { return sequences_of(layout); });
    AttentionOptions terms;
    terms.windows = sequences.get();
    Variable tokens = reshape(context, map, {map.size(0), layout.patches(), map.size(3)});
    for (const auto& block : blocks_) tokens = block->forward(context, std::move(tokens), &terms);
    return reshape(context, norm_.forward(context, tokens), map.shape());
  }

  std::vector<std::string> attentions() const override {
    std::vector<std::string> paths;
    for (const auto& block : blocks_) paths.push_back(block->attention().path());
    return paths;
  }
  void visit_linears(const VisitLinear& visit) override {
    for (const auto& block : blocks_) block->visit_linears(visit);
  }
  void count(CostCounter& counter, int64_t tokens) const override {
    const int64_t sequences = patch_ * patch_, length = tokens / sequences;
    for (const auto& block : blocks_) {
      const LayerCost one = block->attention().cost(length);
      LayerCost all = block->attention().cost(tokens);
      // Scores are of a sequence's tokens among themselves.
      all.multiply_adds = one.multiply_adds * sequences;
      all.scores = one.scores * static_cast<double>(sequences);
      counter.add(std::move(all));
      counter.add(block->mlp().cost(tokens));
    }
  }

 private:
  static BlockConfig block_config(const MobileVitBlockConfig& c) {
    return {.attention = {.embed_dim = c.embed_dim,
                          .num_heads = c.num_heads,
                          .head_dim = c.embed_dim / c.num_heads,
                          .qkv_bias = c.qkv_bias,
                          .dropout = c.attention_dropout},
            .mlp = {.inputs = c.embed_dim,
                    .hidden = c.mlp_hidden,
                    .activation = c.activation,
                    .dropout = c.mlp_dropout},
            .epsilon = c.epsilon,
            .dropout = c.dropout,
            .drop_path = c.drop_path};
  }

  AttentionWindows sequences_of(const TokenLayout& layout) const {
    const int64_t rows = layout.grid_height / patch_, columns = layout.grid_width / patch_;
    AttentionWindows windows{.windows = patch_ * patch_,
                             .tokens = rows * columns,
                             .memory = layout.patches(),
                             .rows = Tensor::empty({patch_ * patch_, rows * columns}, DType::i32)};
    auto* row = windows.rows.data<int32_t>();
    for (int64_t place = 0; place < windows.windows; ++place)
      for (int64_t y = place / patch_; y < layout.grid_height; y += patch_)
        for (int64_t x = place % patch_; x < layout.grid_width; x += patch_)
          *row++ = static_cast<int32_t>(y * layout.grid_width + x);
    return windows;
  }

  int64_t patch_;
  std::vector<std::unique_ptr<Block>> blocks_;
  LayerNorm norm_;
  GridCache<AttentionWindows> sequences_;
};

// GroupNorm of one group: over all tokens and channels of a sample.
class SampleNorm {
 public:
  SampleNorm(const Scope& scope, int64_t dim, double epsilon)
      : weights_{
            .gamma = scope.parameter("weight", {dim}, Initializer::constant(1),
                                     ParameterRole::Kind::norm),
            .beta = scope.parameter("bias", {dim}, Initializer::zeros(), ParameterRole::Kind::norm),
            .groups = 1,
            .epsilon = epsilon} {}
  Variable forward(const Context& context, const Variable& x) const {
    return group_norm(context, x, weights_);
  }

 private:
  GroupNormWeights weights_;
};

// Version 2, on [B, places, patches, D].
class SeparableTransformer : public PatchTransformer {
 public:
  SeparableTransformer(const Scope& scope, const MobileVitBlockConfig& c)
      : patch_(c.patch),
        dropout_(c.dropout),
        drop_path_(c.drop_path),
        norm_(scope.child("norm"), c.embed_dim, c.epsilon) {
    const Scope layers = scope.child("transformer");
    for (int64_t i = 0; i < c.depth; ++i)
      layers_.push_back(std::make_unique<Layer>(layers.child(i), c));
  }

  Variable forward(const Context& context, const Variable& map) const override {
    const int64_t batch = map.size(0), dim = map.size(3), p = patch_;
    const int64_t rows = map.size(1) / p, columns = map.size(2) / p;
    const Variable patches = reshape(context, map, {batch, rows, p, columns, p, dim});
    Variable x = reshape(context, permute(context, patches, std::array{0, 2, 4, 1, 3, 5}),
                         {batch, p * p, rows * columns, dim});
    for (const auto& layer : layers_) x = run(context, *layer, x);
    x = reshape(context, norm_.forward(context, x), {batch, p, p, rows, columns, dim});
    return reshape(context, permute(context, x, std::array{0, 3, 1, 4, 2, 5}), map.shape());
  }

  std::vector<std::string> attentions() const override { return {}; }
  void visit_linears(const VisitLinear& visit) override {
    for (const auto& layer : layers_) {
      layer->attn.visit_linears(visit);
      layer->mlp.visit_linears(visit);
    }
  }
  void count(CostCounter& counter, int64_t tokens) const override {
    for (const auto& layer : layers_) {
      counter.add(layer->attn.cost(tokens));
      counter.add(layer->mlp.cost(tokens));
    }
  }

 private:
  struct Layer {
    Layer(const Scope& scope, const MobileVitBlockConfig& c)
        : attention_path(scope.path() + ".attn.out_proj"),
          mlp_path(scope.path() + ".mlp.fc2"),
          norm1(scope.child("norm1"), c.embed_dim, c.epsilon),
          attn(scope.child("attn"), {.embed_dim = c.embed_dim, .dropout = c.attention_dropout}),
          norm2(scope.child("norm2"), c.embed_dim, c.epsilon),
          mlp(scope.child("mlp"), {.inputs = c.embed_dim,
                                   .hidden = c.mlp_hidden,
                                   .activation = c.activation,
                                   .pointwise = true,
                                   .dropout = c.mlp_dropout}) {}
    std::string attention_path, mlp_path;
    SampleNorm norm1;
    SeparableAttention attn;
    SampleNorm norm2;
    Mlp mlp;
  };

  Variable run(const Context& context, const Layer& layer, const Variable& x) const {
    const auto behind = [&](const Variable& residual, const std::string& path) {
      return LinearEpilogue{
          .dropout = dropout_, .drop_path = drop_path_, .residual = &residual, .path = path};
    };
    const Variable y = layer.attn.forward(context, layer.norm1.forward(context, x),
                                          behind(x, layer.attention_path));
    return layer.mlp.forward(context, layer.norm2.forward(context, y), behind(y, layer.mlp_path));
  }

  int64_t patch_;
  double dropout_, drop_path_;
  std::vector<std::unique_ptr<Layer>> layers_;
  SampleNorm norm_;
};

}  // namespace

std::unique_ptr<PatchTransformer> make_patch_transformer(const Scope& scope,
                                                         const MobileVitBlockConfig& config) {
  if (config.separable) return std::make_unique<SeparableTransformer>(scope, config);
  return std::make_unique<SelfAttentionTransformer>(scope, config);
}

}  // namespace vitrail
