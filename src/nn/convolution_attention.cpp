#include "nn/convolution_attention.h"

#include <array>
#include <cmath>

#include "ops/attention.h"
#include "ops/tokens.h"

namespace vitrail {
namespace {

NormedConvolution convolution_of(const Scope& scope, const char* name,
                                 const ConvolutionAttentionConfig& c, bool of_queries) {
  return {scope.child(name),
          {.inputs = c.embed_dim,
           .outputs = c.embed_dim,
           .kernel = c.kernel,
           .stride = of_queries ? 1 : c.key_stride,
           .padding = of_queries ? c.kernel / 2 : c.key_padding,
           .depthwise = true,
           .initializer = Initializer::torch_uniform(c.kernel * c.kernel)}};
}

}  // namespace

ConvolutionAttention::ConvolutionAttention(const Scope& scope, const ConvolutionAttentionConfig& c)
    : config_(c),
      path_(scope.path()),
      conv_q_(convolution_of(scope, "conv_proj_q", c, true)),
      conv_k_(convolution_of(scope, "conv_proj_k", c, false)),
      conv_v_(convolution_of(scope, "conv_proj_v", c, false)),
      proj_q_(scope.child("proj_q"), c.embed_dim, c.embed_dim, {.bias = c.qkv_bias}),
      proj_k_(scope.child("proj_k"), c.embed_dim, c.embed_dim, {.bias = c.qkv_bias}),
      proj_v_(scope.child("proj_v"), c.embed_dim, c.embed_dim, {.bias = c.qkv_bias}),
      proj_(scope.child("proj"), c.embed_dim, c.embed_dim) {}

Variable ConvolutionAttention::forward(const Context& context, const Variable& x, int64_t height,
                                       int64_t width, const LinearEpilogue& epilogue) const {
  const int64_t batch = x.size(0), dim = config_.embed_dim, prefix = config_.class_token ? 1 : 0;
  const Variable patches = prefix == 0 ? x : slice(context, x, 1, prefix, x.size(1));
  const Variable grid = reshape(context, patches, {batch, height, width, dim});
  const auto project = [&](const NormedConvolution& convolution, const LinearSlot& projection) {
    const Variable y = convolution.forward(context, grid);
    Variable tokens = reshape(context, y, {batch, y.size(1) * y.size(2), dim});
    if (prefix > 0) {
      const std::array parts{slice(context, x, 1, 0, prefix), tokens};
      tokens = concatenate(context, parts, 1);
    }
    return projection->forward(context, tokens);
  };
  const Variable q = project(conv_q_, proj_q_), k = project(conv_k_, proj_k_);
  const Variable v = project(conv_v_, proj_v_);
  // By the whole width, not by that of a head (the authors' code).
  const double scale = 1.0 / std::sqrt(static_cast<double>(dim));
  const Variable mixed =
      attention(context, q, k, v, {.heads = config_.num_heads, .scale = scale, .path = path_});
  return proj_->forward(context, mixed, epilogue);
}

LayerCost ConvolutionAttention::cost(int64_t height, int64_t width) const {
  const int64_t dim = config_.embed_dim, prefix = config_.class_token ? 1 : 0;
  const int64_t patches = height * width, tokens = prefix + patches;
  const int64_t reduced = conv_k_.cells(height) * conv_k_.cells(width);
  const int64_t keys = prefix + reduced;
  return {.path = path_,
          .output = {tokens, dim},
          .multiply_adds = conv_q_.multiply_adds(height, width) +
                           2 * conv_k_.multiply_adds(height, width) +
                           2 * (tokens + keys) * dim * dim + 2 * tokens * keys * dim,
          .values = 6 * tokens * dim + 4 * keys * dim,
          .scores = static_cast<double>(tokens) * static_cast<double>(keys) *
                    static_cast<double>(config_.num_heads),
          .qkv_values = (tokens + 2 * keys) * dim};
}

}  // namespace vitrail
