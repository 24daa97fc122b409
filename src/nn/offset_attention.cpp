#include "nn/offset_attention.h"

#include "ops/tokens.h"

namespace vitrail {
namespace {

std::optional<LayerNormWeights> inner_norm(const Scope& scope, const OffsetAttentionConfig& c) {
  if (!c.norm) return std::nullopt;
  constexpr auto kNorm = ParameterRole::Kind::norm;
  const Scope below = scope.child("norm");
  Parameter& gamma = below.parameter("weight", {c.embed_dim}, Initializer::constant(1), kNorm);
  return LayerNormWeights{
      gamma, &below.parameter("bias", {c.embed_dim}, Initializer::zeros(), kNorm), c.epsilon};
}

int64_t ceil_divide_tokens(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

}  // namespace

OffsetAttention::OffsetAttention(const Scope& scope, const OffsetAttentionConfig& c)
    : config_(c),
      path_(scope.path()),
      norm_(inner_norm(scope, c)),
      qkv_(scope.child("qkv"), c.embed_dim, c.num_heads * (2 * c.sizes.key + c.sizes.value)),
      proj_(scope.child("proj"), c.num_heads * c.sizes.value, c.embed_dim),
      positions_(
          scope,
          {.num_heads = c.num_heads, .grid_height = c.grid_height, .grid_width = c.grid_width}) {}

std::shared_ptr<const AttentionWindows> OffsetAttention::windows_of(
    const TokenLayout& layout) const {
  return windows_.get(layout, [&] {
    return windows_of_grid({.grid_height = layout.grid_height,
                            .grid_width = layout.grid_width,
                            .window_height = config_.grid_height,
                            .window_width = config_.grid_width});
  });
}

Variable OffsetAttention::padding(const Context& context) const {
  const int64_t width = qkv_->weight().shape()[0];
  if (!norm_) return qkv_->bias()->variable();
  // LayerNorm of zeros is its shift.
  const Variable shift = reshape(context, norm_->beta->variable(), {1, config_.embed_dim});
  return reshape(context, qkv_->forward(context, shift), {width});
}

Variable OffsetAttention::forward(const Context& context, const LinearInput& x,
                                  const TokenLayout& layout, const LinearEpilogue& epilogue) const {
  AttentionOptions options{.heads = config_.num_heads, .path = path_};
  std::shared_ptr<const AttentionWindows> windows;
  TokenLayout window = layout;
  if (config_.windows && !is_one_window(layout)) {
    windows = windows_of(layout);
    options.windows = windows.get();
    window.grid_height = config_.grid_height;
    window.grid_width = config_.grid_width;
    if (windows->windows * windows->tokens != windows->memory) options.padding = padding(context);
  }
  positions_.describe(context, window, 0, &options);
  const Variable qkv = qkv_->forward(context, norm_ ? LinearInput(x.x(), &*norm_) : x);
  const Variable mixed = self_attention_by_head(context, qkv, config_.sizes, options);
  return proj_->forward(context, mixed, epilogue);
}

LayerCost OffsetAttention::cost(const TokenLayout& layout) const {
  const OffsetAttentionConfig& c = config_;
  const int64_t tokens = layout.patches(), own = c.grid_height * c.grid_width;
  const int64_t windows = c.windows ? ceil_divide_tokens(layout.grid_height, c.grid_height) *
                                          ceil_divide_tokens(layout.grid_width, c.grid_width)
                                    : 1;
  const int64_t keys = c.num_heads * c.sizes.key, values = c.num_heads * c.sizes.value;
  return {.path = path_,
          .output = {tokens, c.embed_dim},
          // q, k and v with the projection; q k^T and P v.
          .multiply_adds = tokens * c.embed_dim * (2 * keys + 2 * values) +
                           windows * own * own * (keys + values),
          .values = tokens * (3 * c.embed_dim + 2 * keys + 2 * values),
          .scores = static_cast<double>(windows) * static_cast<double>(own) *
                    static_cast<double>(own) * static_cast<double>(c.num_heads),
          .qkv_values = tokens * (2 * keys + values)};
}

}  // namespace vitrail
