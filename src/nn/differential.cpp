#include "nn/differential.h"

#include <cmath>

#include "core/error.h"
#include "ops/elementwise.h"
#include "ops/layer_norm.h"
#include "ops/layout.h"
#include "ops/reduce.h"
#include "ops/tokens.h"

namespace vitrail {
namespace {

constexpr double kSubNormEpsilon = 1e-5, kFirstDeviation = 0.1;  // as the authors have them

Parameter& lambda_vector(const Scope& scope, const char* name, int64_t head_dim) {
  return scope.parameter(name, {head_dim / 2}, Initializer::truncated_normal(kFirstDeviation),
                         ParameterRole::Kind::scale);
}

// [2, d]: which half of a key counts in which map.
Tensor halves(int64_t head_dim) {
  Tensor mask = Tensor::zeros({2, head_dim});
  for (int64_t i = 0; i < head_dim; ++i) mask.f32()[2 * i < head_dim ? i : head_dim + i] = 1;
  return mask;
}

}  // namespace

DifferentialAttention::DifferentialAttention(const Scope& scope, const DifferentialConfig& config)
    : config_(config),
      q1_(lambda_vector(scope, "lambda_q1", config.head_dim)),
      k1_(lambda_vector(scope, "lambda_k1", config.head_dim)),
      q2_(lambda_vector(scope, "lambda_q2", config.head_dim)),
      k2_(lambda_vector(scope, "lambda_k2", config.head_dim)),
      sub_norm_(scope.child("sub_norm")
                    .parameter("weight", {config.head_dim}, Initializer::constant(1),
                               ParameterRole::Kind::norm)) {
  check(config.head_dim % 2 == 0, "attention", "{}: heads of {} have no halves", scope.path(),
        config.head_dim);
}

Variable DifferentialAttention::lambda(const Context& context) const {
  const auto factor = [&](const Parameter& q, const Parameter& k) {
    return exp(context,
               sum_over(context, multiply(context, q.variable(), k.variable()), {0}, true));
  };
  const Variable learned = subtract(context, factor(q1_, k1_), factor(q2_, k2_));
  return add(context, learned, Tensor::full({1}, static_cast<float>(config_.first_lambda)));
}

Variable DifferentialAttention::forward(const Context& context, const Variable& qkv,
                                        const HeadNorms& norms,
                                        const AttentionOptions& options) const {
  const int64_t batch = qkv.size(0), tokens = qkv.size(1);
  const int64_t heads = config_.num_heads, dim = config_.head_dim, width = heads * dim;
  const auto part = [&](int64_t index, const LayerNormWeights* norm) {
    const Variable x = slice(context, qkv, 2, index * width, (index + 1) * width);
    if (norm == nullptr) return reshape(context, x, {batch, tokens, heads, 1, dim});
    const Variable maps = reshape(context, x, {batch, tokens, 2 * heads, dim / 2});
    return reshape(context, layer_norm(context, maps, *norm), {batch, tokens, heads, 1, dim});
  };
  const Shape both{batch, tokens, heads, 2, dim}, flat{batch, tokens, 2 * width};
  const auto doubled = [&](const Variable& x) {
    return reshape(context, expand(context, x, both), flat);
  };
  // One half of a key is zero, so that the whole query, as wide as v, sees the other alone: both
  // maps run in one attention whose rows are theirs.
  const Variable k = multiply(context, part(1, norms.k), halves(dim));
  AttentionOptions both_maps = options;
  both_maps.heads = 2 * heads;
  both_maps.scale = 1 / std::sqrt(static_cast<double>(dim) / 2);
  const Variable mixed =
      reshape(context,
              attention(context, doubled(part(0, norms.q)), reshape(context, k, flat),
                        doubled(part(2, nullptr)), both_maps),
              both);
  const Variable taken = multiply(context, slice(context, mixed, 3, 1, 2), lambda(context));
  const Variable difference = subtract(context, slice(context, mixed, 3, 0, 1), taken);
  const Variable normalised = rms_norm(context, difference, &sub_norm_, kSubNormEpsilon);
  return reshape(context, scale(context, normalised, static_cast<float>(1 - config_.first_lambda)),
                 {batch, tokens, width});
}

}  // namespace vitrail
