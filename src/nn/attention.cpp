#include "nn/attention.h"

#include <cmath>
#include <memory>

#include "core/error.h"
#include "ops/tokens.h"

namespace vitrail {
namespace {

// The logarithm of what scales a head's scores starts at ln 10 and counts as at most ln 100
// (Liu et al. 2022).
const double kFirstLogitScale = std::log(10.0), kMostLogitScale = std::log(100.0);
// A shorter query or key is divided by this, as torch's normalize has it.
constexpr double kShortest = 1e-12;

}  // namespace

Attention::HeadNormParameters Attention::head_norm(const Scope& scope) const {
  using kernels::HeadNormKind;
  if (!config_.qk_norm || config_.qk_norm_kind == HeadNormKind::l2) return {};
  const auto parameter = [&](const char* name, double value) {
    const int64_t width = config_.differential ? config_.head_dim / 2 : config_.head_dim;
    return &scope.parameter(name, {width}, Initializer::constant(value), ParameterRole::Kind::norm);
  };
  HeadNormParameters parameters{.weight = parameter("weight", 1)};
  if (config_.qk_norm_kind == HeadNormKind::layer) parameters.bias = parameter("bias", 0);
  return parameters;
}

Attention::Attention(const Scope& scope, const AttentionConfig& config)
    : config_(config), path_(scope.path()), mixer_(scope, config.mixing, config.num_heads) {
  const int64_t width = config.num_heads * config.head_dim;
  if (config.qkv_bias && !config.key_bias) {
    auto projection = std::make_unique<QueryValueLinear>(scope, config.embed_dim, width);
    query_value_ = projection.get();
    qkv_.replace(std::move(projection));
  } else {
    qkv_ = LinearSlot(scope.child("qkv"), config.embed_dim, 3 * width, {.bias = config.qkv_bias});
  }
  q_norm_ = head_norm(scope.child("q_norm"));
  k_norm_ = head_norm(scope.child("k_norm"));
  if (config.qk_norm && config.qk_norm_kind == kernels::HeadNormKind::l2)
    logit_scale_ =
        &scope.parameter("logit_scale", {config.num_heads, 1, 1},
                         Initializer::constant(kFirstLogitScale), ParameterRole::Kind::scale);
  if (config.differential)
    differential_.emplace(scope, DifferentialConfig{.num_heads = config.num_heads,
                                                    .head_dim = config.head_dim,
                                                    .first_lambda = config.first_lambda});
  if (config.output_norm) norm_.emplace(scope.child("norm"), width, config.epsilon, config.norm);
  if (config.projection)
    proj_ =
        LinearSlot(scope.child("proj"), width, config.embed_dim, {.bias = config.projection_bias});
}

HeadNormalization Attention::normalization(const HeadNormParameters& parameters) const {
  HeadNormalization norm{.kind = config_.qk_norm_kind, .epsilon = config_.epsilon};
  if (parameters.weight != nullptr) norm.weight = parameters.weight->variable();
  if (parameters.bias != nullptr) norm.bias = parameters.bias->variable();
  return norm;
}

void Attention::add_norms(const Context& context, AttentionOptions* options) const {
  if (!config_.qk_norm) return;
  options->q_norm = normalization(q_norm_);
  options->k_norm = normalization(k_norm_);
  if (logit_scale_ == nullptr) return;
  options->q_norm.epsilon = options->k_norm.epsilon = kShortest;
  options->q_norm.gain = exponential_gain(
      context, reshape(context, logit_scale_->variable(), {config_.num_heads}), kMostLogitScale);
  options->scale = 1;
}

Variable Attention::of_zeros(const Context& context) const {
  if (query_value_ != nullptr) return query_value_->joined_bias(context);
  return qkv_->bias() == nullptr ? Variable() : qkv_->bias()->variable();
}

Variable Attention::differences(const Context& context, const Variable& qkv,
                                const AttentionOptions& options) const {
  const auto weights = [&](const HeadNormParameters& norm) -> std::optional<LayerNormWeights> {
    if (norm.weight == nullptr) return std::nullopt;
    return LayerNormWeights{*norm.weight, norm.bias, config_.epsilon,
                            norm.bias == nullptr ? NormKind::root_mean_square : NormKind::layer};
  };
  const std::optional<LayerNormWeights> q = weights(q_norm_), k = weights(k_norm_);
  return differential_->forward(context, qkv, {.q = q ? &*q : nullptr, .k = k ? &*k : nullptr},
                                options);
}

Variable Attention::mix(const Context& context, const Variable& qkv,
                        const AttentionOptions* terms) const {
  AttentionOptions options = terms == nullptr ? AttentionOptions() : *terms;
  options.heads = config_.num_heads;
  options.dropout = config_.dropout;
  options.path = path_;
  if (differential_) {
    check(terms == nullptr, "attention", "{}: differential attention takes no positions", path_);
    return differences(context, qkv, options);
  }
  add_norms(context, &options);
  mixer_.add_to(context, &options);
  if (options.windows != nullptr) options.padding = of_zeros(context);
  return self_attention(context, qkv, options);
}

Variable Attention::forward(const Context& context, const LinearInput& input,
                            const LinearEpilogue& epilogue, const AttentionOptions* terms) const {
  Variable mixed = mix(context, qkv_->forward(context, input), terms);
  if (norm_) mixed = norm_->forward(context, mixed);
  if (proj_.present()) return proj_->forward(context, mixed, epilogue);
  // Without a projection (one head as wide as the model) its epilogue is applied by itself.
  return apply_epilogue(context, mixed, epilogue);
}

LayerCost Attention::cost(int64_t tokens, int64_t pairs) const {
  const int64_t dim = config_.embed_dim, inner = config_.num_heads * config_.head_dim;
  const int64_t maps = heads() / config_.num_heads;
  // q, k and v; q k^T and P v; the projection.
  return {.path = path_,
          .output = {tokens, dim},
          .multiply_adds = tokens * dim * 3 * inner + 2 * maps * pairs * inner +
                           pairs * mixer_.multiply_adds() +
                           (config_.projection ? tokens * inner * dim : 0),
          // The input, its norm and the sum; q, k, v and their mix.
          .values = tokens * (3 * dim + 4 * maps * inner),
          .scores = static_cast<double>(pairs) * static_cast<double>(heads()),
          .qkv_values = tokens * 3 * maps * inner};
}

CrossAttention::CrossAttention(const Scope& scope, const CrossAttentionConfig& config)
    : config_(config), path_(scope.path()), mixer_(scope, config.mixing, config.num_heads) {
  const int64_t width = config.num_heads * config.head_dim;
  const Linear::Options in_front{.bias = config.bias && config.qkv_bias};
  q_ = LinearSlot(scope.child("q"), config.embed_dim, width, in_front);
  kv_ = LinearSlot(scope.child("kv"), config.memory_dim, 2 * width, in_front);
  proj_ = LinearSlot(scope.child("proj"), width, config.embed_dim, {.bias = config.bias});
}

Variable CrossAttention::forward(const Context& context, const LinearInput& queries,
                                 const LinearInput& memory, const LinearEpilogue& epilogue,
                                 const AttentionOptions* terms) const {
  AttentionOptions options = terms == nullptr ? AttentionOptions() : *terms;
  options.heads = config_.num_heads;
  options.dropout = config_.dropout;
  options.path = path_;
  mixer_.add_to(context, &options);
  const Variable mixed = cross_attention(context, q_->forward(context, queries),
                                         kv_->forward(context, memory), options);
  return proj_->forward(context, mixed, epilogue);
}

LayerCost CrossAttention::cost(int64_t queries, int64_t keys) const {
  const int64_t dim = config_.embed_dim, inner = config_.num_heads * config_.head_dim;
  // q and the projection; k and v; q k^T and P v.
  return {.path = path_,
          .output = {queries, dim},
          .multiply_adds = 2 * queries * dim * inner + keys * config_.memory_dim * 2 * inner +
                           queries * keys * (2 * inner + mixer_.multiply_adds()),
          .values = queries * (3 * dim + 2 * inner) + keys * (config_.memory_dim + 2 * inner),
          .scores = static_cast<double>(queries) * static_cast<double>(keys) *
                    static_cast<double>(config_.num_heads),
          .qkv_values = (queries + 2 * keys) * inner};
}

}  // namespace vitrail
