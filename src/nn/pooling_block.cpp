#include "nn/pooling_block.h"

#include <array>

#include "ops/convolution.h"
#include "ops/tokens.h"

namespace vitrail {
namespace {

using Pool = Variable (*)(const Context&, const Variable&, const WindowOptions&);

Variable pool_squares(const Context& context, const Variable& x, const PooledGrid& grid,
                      int64_t stride, Pool pool) {
  if (stride == 1) return x;
  const int64_t batch = x.size(0), dim = x.size(2);
  const Variable map = reshape(context, x, {batch, grid.height, grid.width, dim});
  return reshape(context, pool(context, map, square_window(stride, stride, 0)),
                 {batch, grid.height / stride * (grid.width / stride), dim});
}

Parameter* branch_scale(const Scope& scope, const PoolingBlockConfig& config) {
  if (!config.layer_scale) return nullptr;
  return &scope.parameter("gamma", {config.outputs}, Initializer::constant(config.layer_scale_init),
                          ParameterRole::Kind::scale);
}

}  // namespace

PoolingBlock::PoolingBlock(const Scope& scope, const PoolingBlockConfig& config)
    : config_(config),
      path_(scope.path()),
      attention_path_(path_ + ".attn"),
      projection_path_(path_ + ".attn.proj"),
      mlp_path_(path_ + ".mlp.fc2"),
      norm1_(scope.child("norm1"), config.inputs, config.epsilon),
      residual_(config.projected_residual
                    ? LinearSlot(scope.child("proj"), config.inputs, config.outputs)
                    : LinearSlot()),
      qkv_(scope.child("attn").child("qkv"), config.inputs, 3 * config.outputs),
      proj_(scope.child("attn").child("proj"), config.outputs, config.outputs),
      scale1_(branch_scale(scope.child("ls1"), config)),
      norm2_(scope.child("norm2"), config.outputs, config.epsilon),
      mlp_(
          scope.child("mlp"),
          {.inputs = config.outputs, .hidden = config.mlp_hidden, .activation = config.activation}),
      scale2_(branch_scale(scope.child("ls2"), config)) {}

Variable PoolingBlock::largest(const Context& context, const Variable& x,
                               const PooledGrid& grid) const {
  return pool_squares(context, x, grid, config_.stride, max_pool2d);
}

Variable PoolingBlock::average(const Context& context, const Variable& x,
                               const PooledGrid& grid) const {
  return pool_squares(context, x, grid, config_.stride, average_pool2d);
}

Variable PoolingBlock::residual(const Context& context, const Variable& x,
                                const Variable& normalised, const PooledGrid& grid) const {
  if (residual_.present()) return largest(context, residual_->forward(context, normalised), grid);
  const std::array parts{largest(context, x, grid), average(context, x, grid)};
  return concatenate(context, parts, 2);
}

Variable PoolingBlock::attend(const Context& context, const Variable& normalised,
                              const PooledGrid& grid) const {
  const int64_t dim = config_.outputs;
  const Variable qkv = qkv_->forward(context, normalised);
  AttentionOptions options{
      .heads = config_.num_heads, .path = attention_path_, .windows = grid.keys};
  if (config_.stride == 1) return self_attention(context, qkv, options);
  options.query_windows = grid.queries;
  return cross_attention(context, largest(context, slice(context, qkv, 2, 0, dim), grid),
                         slice(context, qkv, 2, dim, 3 * dim), options);
}

Variable PoolingBlock::forward(const Context& context, const Variable& x,
                               const PooledGrid& grid) const {
  const Variable normalised = norm1_.forward(context, x);
  const Variable kept = residual(context, x, normalised, grid);
  const Variable y = proj_->forward(context, attend(context, normalised, grid),
                                    {.layer_scale = scale1_,
                                     .drop_path = config_.drop_path,
                                     .residual = &kept,
                                     .path = projection_path_});
  return mlp_.forward(context, norm2_.before(y),
                      {.layer_scale = scale2_,
                       .drop_path = config_.drop_path,
                       .residual = &y,
                       .path = mlp_path_,
                       .destination = context.tape == nullptr ? &y.value() : nullptr});
}

void PoolingBlock::count(CostCounter& counter, const PooledGrid& grid) const {
  const int64_t before = grid.height * grid.width;
  const int64_t after = before / (config_.stride * config_.stride);
  const int64_t in = config_.inputs, out = config_.outputs;
  const int64_t pairs = grid.keys == nullptr ? before * after
                                             : grid.keys->windows * grid.keys->tokens *
                                                   (grid.keys->tokens * after / before);
  counter.add({.path = attention_path_,
               .output = {after, out},
               // The residual; q, k and v; q k^T and P v; the projection.
               .multiply_adds = (residual_.present() ? before * in * out : 0) +
                                before * in * 3 * out + 2 * pairs * out + after * out * out,
               // Both inputs, the residual; q, k and v; what is pooled of them and their mix.
               .values = before * (2 * in + 4 * out) + after * 4 * out,
               .scores = static_cast<double>(pairs) * static_cast<double>(config_.num_heads),
               .qkv_values = after * out + before * 2 * out});
  counter.add(mlp_.cost(after));
}

void PoolingBlock::visit_linears(const VisitLinear& visit) {
  if (residual_.present()) visit(residual_);
  visit(qkv_);
  visit(proj_);
  mlp_.visit_linears(visit);
}

}  // namespace vitrail
