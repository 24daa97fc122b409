#include "nn/levit_attention.h"

#include "ops/activation.h"
#include "ops/attention.h"
#include "ops/gather.h"

namespace vitrail {
namespace {

NormedLinear::Options projection_options(const LevitAttentionConfig& config,
                                         double first_weight = 1) {
  return {.names = {}, .pointwise = config.pointwise, .norm = {.first_weight = first_weight}};
}

}  // namespace

LevitAttention::LevitAttention(const Scope& scope, const LevitAttentionConfig& config)
    : config_(config),
      path_(scope.path()),
      rows_((config.grid_height - 1) / config.query_stride + 1),
      columns_((config.grid_width - 1) / config.query_stride + 1),
      proj_(scope.child("proj").child("ln"), config.num_heads * config.value_dim, config.outputs,
            projection_options(config, config.first_projection_weight)),
      positions_(scope, {.num_heads = config.num_heads,
                         .grid_height = config.grid_height,
                         .grid_width = config.grid_width,
                         .query_stride = config.query_stride}) {
  const int64_t heads = config.num_heads, key = config.key_dim, value = config.value_dim;
  if (config.query_stride == 1) {
    qkv_.emplace(scope.child("qkv"), config.inputs, heads * (2 * key + value),
                 projection_options(config));
    return;
  }
  kv_.emplace(scope.child("kv"), config.inputs, heads * (key + value), projection_options(config));
  q_.emplace(scope.child("q").child("ln"), config.inputs, heads * key, projection_options(config));
  query_tokens_ = Tensor::empty({queries()}, DType::i64);
  auto* token = query_tokens_.data<int64_t>();
  for (int64_t row = 0; row < rows_; ++row)
    for (int64_t column = 0; column < columns_; ++column)
      *token++ = (row * config.grid_width + column) * config.query_stride;
}

Variable LevitAttention::forward(const Context& context, const Variable& x,
                                 const LinearEpilogue& epilogue) const {
  AttentionOptions options{.heads = config_.num_heads, .path = path_};
  positions_.describe(
      context, {.grid_height = config_.grid_height, .grid_width = config_.grid_width}, 0, &options);
  const HeadSizes sizes{.key = config_.key_dim, .value = config_.value_dim};
  Variable mixed;
  if (qkv_) {
    mixed = self_attention_by_head(context, qkv_->forward(context, x), sizes, options);
  } else {
    const Variable q = q_->forward(context, index_select(context, x, 1, query_tokens_));
    mixed = cross_attention_by_head(context, q, kv_->forward(context, x), sizes, options);
  }
  return proj_.forward(context, activation(context, mixed, config_.activation), epilogue);
}

LayerCost LevitAttention::cost() const {
  const LevitAttentionConfig& c = config_;
  const int64_t keys = this->keys(), heads = c.num_heads;
  const int64_t scores = heads * queries() * keys;
  const int64_t q = queries() * heads * c.key_dim, kv = keys * heads * (c.key_dim + c.value_dim);
  const int64_t mixed = queries() * heads * c.value_dim;
  return {
      .path = path_,
      .output = {queries(), c.outputs},
      .multiply_adds = (q + kv) * c.inputs + scores * (c.key_dim + c.value_dim) + mixed * c.outputs,
      .values = 2 * keys * c.inputs + q + kv + 2 * mixed + queries() * c.outputs,
      .scores = static_cast<double>(scores),
      .qkv_values = q + kv};
}

void LevitAttention::visit_linears(const VisitLinear& visit) {
  for (std::optional<NormedLinear>* projection : {&qkv_, &kv_, &q_})
    if (*projection) (*projection)->visit_linears(visit);
  proj_.visit_linears(visit);
}

}  // namespace vitrail
