#include "nn/reduced_attention.h"

#include <cmath>

#include "ops/activation.h"
#include "ops/attention.h"
#include "ops/convolution.h"
#include "ops/matmul.h"
#include "ops/tokens.h"

namespace vitrail {
namespace {

// The shares of `pixels` that each of `cells` averages: cell i from floor(i n / m) up to, and not
// with, ceil((i + 1) n / m), as torch's adaptive pooling divides them.
struct CellRange {
  int64_t begin, end;
};
CellRange cell_range(int64_t cell, int64_t cells, int64_t pixels) {
  return {cell * pixels / cells, ((cell + 1) * pixels + cells - 1) / cells};
}

// [side * side, height * width]: row i averages what cell i covers.
Tensor averaging_matrix(int64_t side, int64_t height, int64_t width) {
  Tensor matrix = Tensor::zeros({side * side, height * width});
  for (int64_t row = 0; row < side; ++row)
    for (int64_t column = 0; column < side; ++column) {
      const CellRange y = cell_range(row, side, height), x = cell_range(column, side, width);
      const float share = 1.0f / static_cast<float>((y.end - y.begin) * (x.end - x.begin));
      float* to = matrix.f32() + (row * side + column) * height * width;
      for (int64_t i = y.begin; i < y.end; ++i)
        for (int64_t j = x.begin; j < x.end; ++j) to[i * width + j] = share;
    }
  return matrix;
}

}  // namespace

ReducedAttention::ReducedAttention(const Scope& scope, const ReducedAttentionConfig& config)
    : config_(config), path_(scope.path()) {
  const int64_t dim = config.embed_dim;
  q_ = LinearSlot(scope.child("q"), dim, dim, {.bias = config.qkv_bias});
  kv_ = LinearSlot(scope.child("kv"), dim, 2 * dim, {.bias = config.qkv_bias});
  if (reduces()) {
    const int64_t kernel = config.pooled_side > 0 ? 1 : config.reduction;
    const double deviation = std::sqrt(2.0 / static_cast<double>(kernel * kernel * dim));
    sr_weight_ = &scope.child("sr").filter("weight", {dim, dim, kernel, kernel},
                                           Initializer::truncated_normal(deviation),
                                           ParameterRole::Muon::filter);
    sr_bias_ = &scope.child("sr").parameter("bias", {dim}, Initializer::zeros(),
                                            ParameterRole::Kind::bias);
    norm_.emplace(scope.child("norm"), dim, config.epsilon);
  }
  proj_ = LinearSlot(scope.child("proj"), dim, dim);
}

std::pair<int64_t, int64_t> ReducedAttention::key_grid(int64_t height, int64_t width) const {
  if (config_.pooled_side > 0) return {config_.pooled_side, config_.pooled_side};
  return {height / config_.reduction, width / config_.reduction};
}

Variable ReducedAttention::reduced(const Context& context, const Variable& x, int64_t height,
                                   int64_t width) const {
  const int64_t batch = x.size(0), dim = config_.embed_dim, side = config_.pooled_side;
  Variable grid;
  if (side > 0)
    grid = reshape(context, matmul(context, Variable(averaging_matrix(side, height, width)), x),
                   {batch, side, side, dim});
  else
    grid = reshape(context, x, {batch, height, width, dim});
  const int64_t stride = side > 0 ? 1 : config_.reduction;
  const Variable y =
      convolution(context, grid, *sr_weight_, sr_bias_, square_window(stride, stride, 0));
  const Variable tokens =
      norm_->forward(context, reshape(context, y, {batch, y.size(1) * y.size(2), dim}));
  return side > 0 ? activation(context, tokens, kernels::Activation::gelu) : tokens;
}

Variable ReducedAttention::forward(const Context& context, const Variable& x, int64_t height,
                                   int64_t width, const LinearEpilogue& epilogue) const {
  const int64_t dim = config_.embed_dim;
  const Variable q = q_->forward(context, x);
  const Variable kv = kv_->forward(context, reduces() ? reduced(context, x, height, width) : x);
  const Variable mixed =
      attention(context, q, slice(context, kv, 2, 0, dim), slice(context, kv, 2, dim, 2 * dim),
                {.heads = config_.num_heads, .dropout = config_.dropout, .path = path_});
  return proj_->forward(context, mixed, epilogue);
}

LayerCost ReducedAttention::cost(int64_t height, int64_t width) const {
  const auto [key_rows, key_columns] = key_grid(height, width);
  const int64_t dim = config_.embed_dim, tokens = height * width, fewer = key_rows * key_columns;
  const int64_t side = config_.pooled_side;
  int64_t reducing = 0;
  if (side > 0)
    reducing = fewer * tokens * dim + fewer * dim * dim;
  else if (config_.reduction > 1)
    reducing = fewer * dim * dim * config_.reduction * config_.reduction;
  return {.path = path_,
          .output = {tokens, dim},
          // q and the projection, k and v, q k^T and P v.
          .multiply_adds =
              reducing + 2 * tokens * dim * dim + fewer * 2 * dim * dim + 2 * tokens * fewer * dim,
          .values = 6 * tokens * dim + 3 * fewer * dim,
          .scores = static_cast<double>(tokens) * static_cast<double>(fewer) *
                    static_cast<double>(config_.num_heads),
          .qkv_values = (tokens + 2 * fewer) * dim};
}

}  // namespace vitrail
