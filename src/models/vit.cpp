#include "models/vit.h"

#include "autograd/checkpoint.h"
#include "autograd/timing.h"
#include "core/error.h"
#include "ops/dropout.h"
#include "ops/elementwise.h"
#include "ops/tokens.h"

namespace vitrail {
namespace {

PatchEmbeddingConfig patch_config(const VisionTransformerConfig& c) {
  return {.channels = c.in_channels,
          .embed_dim = c.embed_dim,
          .patch_height = c.patch_height,
          .patch_width = c.patch_width,
          .channels_last = c.patch_embedding == PatchEmbedding::linear,
          .bias = c.patch_bias,
          .norms = c.patch_norm,
          .epsilon = c.layer_norm_epsilon};
}

ConvTokenizerConfig tokenizer_config(const VisionTransformerConfig& c) {
  return {.channels = c.in_channels,
          .embed_dim = c.embed_dim,
          .hidden_channels = c.tokenizer.hidden_channels,
          .layers = c.tokenizer.layers,
          .kernel = c.tokenizer.kernel,
          .stride = c.tokenizer.stride,
          .padding = c.tokenizer.padding,
          .pool_kernel = c.tokenizer.pool_kernel,
          .pool_stride = c.tokenizer.pool_stride,
          .pool_padding = c.tokenizer.pool_padding,
          .bias = c.tokenizer.bias,
          .activation = c.tokenizer.activation};
}

PositionConfig position_config(const VisionTransformerConfig& c) {
  return {
      .kind = c.position,
      .embed_dim = c.embed_dim,
      .prefix = c.position_prefix,
      .grid_height =
          c.position_grid_height > 0 ? c.position_grid_height : c.grid_height(c.image_height),
      .grid_width = c.position_grid_width > 0 ? c.position_grid_width : c.grid_width(c.image_width),
      .resize = c.position_resize};
}

BlockConfig block_config(const VisionTransformerConfig& c, int64_t index) {
  // Stochastic depth grows linearly with depth (Huang et al. 2016, section 3), or is the same in
  // every block.
  const double depth_share = c.drop_path_constant ? 1.0
                             : c.depth > 1
                                 ? static_cast<double>(index) / static_cast<double>(c.depth - 1)
                                 : 0.0;
  return {.attention = {.embed_dim = c.embed_dim,
                        .num_heads = c.num_heads,
                        .head_dim = c.head_size(),
                        .qkv_bias = c.qkv_bias,
                        .projection = c.attention_projection,
                        .projection_bias = c.projection_bias,
                        .qk_norm = c.qk_norm,
                        .output_norm = c.attention_norm,
                        .epsilon = c.layer_norm_epsilon,
                        .dropout = c.attention_dropout},
          .mlp = {.inputs = c.embed_dim,
                  .hidden = c.mlp_hidden(),
                  .kind = c.mlp,
                  .activation = c.activation,
                  .bias = c.mlp_bias,
                  .hidden_norm = c.mlp_norm,
                  .epsilon = c.layer_norm_epsilon,
                  .dropout = c.dropout},
          .norms = c.norm_placement,
          .epsilon = c.layer_norm_epsilon,
          .layer_scale = c.layer_scale,
          .layer_scale_init = c.layer_scale_init,
          .dropout = c.dropout,
          .drop_path = c.drop_path * depth_share};
}

Variable run_block(const Context& context, const Block& block, Variable x) {
  if (!context.activation_checkpointing) return block.forward(context, std::move(x));
  return checkpoint(context, x, [&block](const Context& inner, const Variable& input) {
    return block.forward(inner, input);
  });
}

}  // namespace

VisionTransformer::VisionTransformer(VisionTransformerConfig config)
    : config_(std::move(config)), registry_(std::make_unique<ParameterRegistry>()) {
  config_.validate();
  const VisionTransformerConfig& c = config_;
  using Section = ParameterPlace::Section;
  constexpr auto kToken = ParameterRole::Kind::token;
  const Scope root(*registry_);
  const Scope stem = root.in(Section::stem), pool = root.in(Section::pool);
  const Scope head = root.in(Section::head);
  const int64_t dim = c.embed_dim;
  const Initializer token = Initializer::truncated_normal(0.02);
  if (c.class_token) cls_token_ = &stem.parameter("cls_token", {1, 1, dim}, token, kToken);
  if (c.distillation_token) dist_token_ = &stem.parameter("dist_token", {1, 1, dim}, token, kToken);
  if (c.register_tokens > 0)
    reg_token_ = &stem.parameter("reg_token", {1, c.register_tokens, dim}, token, kToken);
  position_.emplace(stem, position_config(c));
  if (c.patch_embedding == PatchEmbedding::tokenizer)
    tokenizer_.emplace(stem.child("tokenizer"), tokenizer_config(c));
  else if (c.patch_embedding == PatchEmbedding::resnet)
    resnet_.emplace(stem.child("patch_embed").child("backbone"), c.resnet, c.in_channels,
                    c.layer_norm_epsilon);
  else
    patch_embed_.emplace(stem.child("patch_embed"), patch_config(c));
  if (c.pre_norm) norm_pre_.emplace(stem.child("norm_pre"), dim, c.layer_norm_epsilon);
  for (int64_t i = 0; i < c.depth; ++i)
    blocks_.push_back(
        std::make_unique<Block>(root.child("blocks").child(i).in_block(i), block_config(c, i)));
  if (c.final_norm)
    norm_.emplace(root.in(Section::final_norm).child("norm"), dim, c.layer_norm_epsilon);
  if (c.pooling == Pooling::sequence) sequence_pool_.emplace(pool.child("sequence_pool"), dim);
  if (is_map(c.pooling))
    map_pool_.emplace(
        pool.child("attn_pool"),
        MapPoolConfig{
            .embed_dim = dim,
            .num_heads = c.pool_heads > 0 ? c.pool_heads : c.num_heads,
            .mlp_hidden_dim = c.pool_mlp_hidden_dim > 0 ? c.pool_mlp_hidden_dim : c.mlp_hidden(),
            .activation = c.activation,
            .epsilon = c.layer_norm_epsilon});
  if (c.fc_norm) fc_norm_.emplace(pool.child("fc_norm"), c.pooling_dim(), c.layer_norm_epsilon);
  if (c.pre_logits_dim > 0)
    pre_logits_ =
        LinearSlot(pool.child("pre_logits").child("fc"), c.pooling_dim(), c.pre_logits_dim);
  if (c.num_classes == 0) return;
  head_ = LinearSlot(head.child("head"), c.pooled_dim(), c.num_classes, {.bias = c.head_bias});
  if (c.pooling == Pooling::distilled)
    head_dist_ = LinearSlot(head.child("head_dist"), dim, c.num_classes, {.bias = c.head_bias});
}

TokenLayout VisionTransformer::layout(int64_t picture_height, int64_t picture_width) const {
  const VisionTransformerConfig& c = config_;
  TokenLayout layout{.class_tokens = c.class_token ? 1 : 0,
                     .distillation_tokens = c.distillation_token ? 1 : 0,
                     .register_tokens = c.register_tokens,
                     .grid_height = c.grid_height(picture_height),
                     .grid_width = c.grid_width(picture_width),
                     .patch_height = c.patch_height,
                     .patch_width = c.patch_width};
  if (c.has_feature_map()) {
    layout.patch_height = picture_height / layout.grid_height;
    layout.patch_width = picture_width / layout.grid_width;
  }
  return layout;
}

Variable VisionTransformer::embed(const Context& context, const Variable& images,
                                  const TokenLayout& layout) const {
  Variable patches = patch_embed_ ? patch_embed_->forward(context, images)
                     : tokenizer_ ? tokenizer_->forward(context, images)
                                  : resnet_->forward(context, images);
  context.observe("patch_embed", patches);
  const Timed timed(context, {"position", "pos_embed"});
  std::vector<Variable> prefix;
  for (const Parameter* token : {cls_token_, dist_token_, reg_token_})
    if (token != nullptr) prefix.push_back(token->variable());

  const auto with_prefix = [&](const Variable& tokens) {
    if (prefix.empty()) return tokens;
    std::vector<Variable> parts = prefix;
    parts.push_back(tokens);
    return concatenate(context, parts, 1);
  };
  Variable tokens;
  if (!position_->present()) {
    tokens = with_prefix(patches);
  } else {
    const Variable table = position_->table(context, layout);
    const int64_t covered = position_->prefix(), total = layout.prefix();
    if (covered == total) {
      tokens = add_broadcast(context, with_prefix(patches), table);
    } else {
      // Positions for the first `covered` prefix tokens and for the patches; registers have none.
      patches = add_broadcast(context, patches,
                              slice(context, table, 1, covered, covered + layout.patches()));
      tokens = with_prefix(patches);
      if (covered > 0) {
        const Variable first = add_broadcast(context, slice(context, tokens, 1, 0, covered),
                                             slice(context, table, 1, 0, covered));
        const std::vector<Variable> parts{first,
                                          slice(context, tokens, 1, covered, tokens.size(1))};
        tokens = concatenate(context, parts, 1);
      }
    }
  }
  tokens = dropout(context, tokens, config_.position_dropout, "pos_drop");
  return norm_pre_ ? norm_pre_->forward(context, tokens) : tokens;
}

Variable VisionTransformer::pool(const Context& context, const Variable& tokens,
                                 const TokenLayout& layout) const {
  const Timed timed(context, {"pooling", "pool"});
  const int64_t batch = tokens.size(0), dim = config_.embed_dim;
  const auto token = [&](int64_t index) {
    return reshape(context, slice(context, tokens, 1, index, index + 1), {batch, dim});
  };
  const auto patches = [&] {
    return layout.prefix() == 0 ? tokens
                                : slice(context, tokens, 1, layout.prefix(), tokens.size(1));
  };
  switch (config_.pooling) {
    case Pooling::class_token:
      return token(0);
    case Pooling::distilled:  // without heads both tokens are the answer, as timm has it
      return head_.present() ? token(0) : scale(context, add(context, token(0), token(1)), 0.5f);
    case Pooling::mean:
      return mean_tokens(context, patches());
    case Pooling::mean_all:
      return mean_tokens(context, tokens);
    case Pooling::class_and_mean: {
      const std::vector<Variable> parts{token(0), mean_tokens(context, patches())};
      return concatenate(context, parts, 1);
    }
    case Pooling::sequence:
      return sequence_pool_->forward(context, tokens);
    case Pooling::map:
      return map_pool_->forward(context, patches());
    case Pooling::map_all:
      return map_pool_->forward(context, tokens);
  }
  fail("vit", "unknown pooling");
}

void VisionTransformer::classify(const Context& context, VitOutput& output) const {
  const Variable logits = head_->forward(context, output.pooled);
  output.logits = logits;
  if (!head_dist_.present()) return;
  // DeiT: both heads vote (Touvron et al. 2021, section 4.1).
  const Variable distilled =
      reshape(context, slice(context, output.tokens, 1, 1, 2), output.pooled.shape());
  output.class_logits = logits;
  output.distillation_logits = head_dist_->forward(context, distilled);
  output.logits = scale(context, add(context, logits, output.distillation_logits), 0.5f);
}

Variable VisionTransformer::encode(const Context& context, Variable tokens) const {
  for (const auto& block : blocks_) {
    tokens = run_block(context, *block, std::move(tokens));
    context.observe(block->path(), tokens);
  }
  if (norm_) tokens = norm_->forward(context, tokens);
  context.observe("norm", tokens);
  return tokens;
}

VitOutput VisionTransformer::forward(const Context& context, const Variable& images) const {
  check(images.shape().rank() == 4 && images.size(1) == config_.in_channels, "vit",
        "this model takes [B, {}, H, W], not {}", config_.in_channels, images.shape().str());
  VitOutput output{.layout = layout(images.size(2), images.size(3))};
  Variable tokens = embed(context, images, output.layout);
  context.observe("tokens", tokens);
  output.tokens = encode(context, std::move(tokens));
  output.pooled = pool(context, output.tokens, output.layout);
  if (fc_norm_) output.pooled = fc_norm_->forward(context, output.pooled);
  if (pre_logits_.present())
    output.pooled = pre_logits_->forward(context, output.pooled, {.activation = Activation::tanh});
  context.observe("pooled", output.pooled);
  if (head_.present()) {
    classify(context, output);
    context.observe("head", output.logits);
  }
  return output;
}

void VisionTransformer::pack_for_inference(Queue& queue, const Packing& packing,
                                           const std::function<void(Parameter&)>& fill) {
  const auto& parameters = registry_->all();
  queue.pool().parallel_for(static_cast<int64_t>(parameters.size()), [&](int64_t i, int) {
    Parameter& parameter = *parameters[static_cast<size_t>(i)];
    if (fill) fill(parameter);
    if (!parameter.read_packed()) return;
    const Precision precision = packing.precision.of(parameter.path());
    if (packing.single_pass && precision == Precision::f32) return parameter.set_read_in_place();
    prepare_linear(queue, parameter, precision);
    parameter.release_source();
  });
  release_cached_memory();  // what the sources leave in the pool
}

}  // namespace vitrail
