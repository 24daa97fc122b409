#include "models/heads/classifier_head.h"

#include <algorithm>

#include "autograd/timing.h"
#include "core/error.h"
#include "ops/elementwise.h"
#include "ops/tokens.h"

namespace vitrail {

ClassifierHead::ClassifierHead(const Scope& root, const ClassifierConfig& config)
    : config_(config) {
  using Section = ParameterPlace::Section;
  const ClassifierConfig& c = config_;
  const Scope pool = root.in(Section::pool), head = root.in(Section::head);
  const int64_t dim = c.embed_dim, classes = c.answer.classes;
  if (c.pooling == Pooling::sequence) sequence_pool_.emplace(pool.child("sequence_pool"), dim);
  if (is_map(c.pooling)) map_pool_.emplace(pool.child("attn_pool"), c.map);
  if (c.norm) norm_.emplace(pool.child("fc_norm"), c.pooling_dim(), c.epsilon, c.norm_kind);
  if (c.pre_logits_dim > 0)
    pre_logits_ =
        LinearSlot(pool.child("pre_logits").child("fc"), c.pooling_dim(), c.pre_logits_dim);
  if (classes == 0) return;
  const auto make = [&](const char* name, int64_t inputs, std::optional<BatchNorm>& norm) {
    const Scope scope = head.child(name);
    if (c.head_norm) norm.emplace(scope.child("bn"), inputs);
    return LinearSlot(c.head_norm ? scope.child("linear") : scope, inputs, classes,
                      {.bias = c.bias});
  };
  head_ = make("head", c.pooled_dim(), head_bn_);
  if (c.pooling == Pooling::distilled) head_dist_ = make("head_dist", dim, head_dist_bn_);
  if (c.pooled_distillation) head_dist_ = make("head_dist", c.pooled_dim(), head_dist_bn_);
}

Variable ClassifierHead::pool(const Context& context, const Feature& feature) const {
  const Variable& tokens = feature.tokens;
  const TokenLayout& layout = feature.layout;
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
  fail("classifier", "unknown pooling");
}

void ClassifierHead::classify(const Context& context, NetworkOutput& output) const {
  const auto normed = [&](const std::optional<BatchNorm>& norm, const Variable& x) {
    return norm ? norm->forward(context, x) : x;
  };
  const Variable logits = head_->forward(context, normed(head_bn_, output.pooled));
  output.logits = logits;
  if (!head_dist_.present()) return;
  // DeiT: both heads vote (Touvron et al. 2021, section 4.1).
  const Variable distilled =
      config_.pooled_distillation
          ? output.pooled
          : reshape(context, slice(context, output.tokens(), 1, 1, 2), output.pooled.shape());
  output.class_logits = logits;
  output.distillation_logits = head_dist_->forward(context, normed(head_dist_bn_, distilled));
  output.logits = scale(context, add(context, logits, output.distillation_logits), 0.5f);
}

NetworkOutput ClassifierHead::forward(const Context& context, std::vector<Feature> features) const {
  NetworkOutput output;
  output.features = std::move(features);
  output.pooled = pool(context, output.features.back());
  if (norm_) output.pooled = norm_->forward(context, output.pooled);
  if (pre_logits_.present())
    output.pooled =
        pre_logits_->forward(context, output.pooled, {.activation = kernels::Activation::tanh});
  context.observe("pooled", output.pooled);
  if (head_.present()) {
    classify(context, output);
    context.observe("head", output.logits);
  }
  return output;
}

std::vector<double> ClassifierHead::pooling_weights(const TokenLayout& layout) const {
  std::vector<double> weights(static_cast<size_t>(layout.tokens()));
  const auto patches = weights.begin() + layout.prefix();
  const auto spread = [](auto first, auto last, double share) {
    std::fill(first, last, share / static_cast<double>(last - first));
  };
  switch (config_.pooling) {
    case Pooling::class_token:
    case Pooling::distilled:
      weights.front() = 1;
      break;
    case Pooling::class_and_mean:
      spread(patches, weights.end(), 0.5);
      weights.front() = 0.5;
      break;
    case Pooling::mean:
    case Pooling::sequence:
    case Pooling::map:
      spread(patches, weights.end(), 1);
      break;
    case Pooling::mean_all:
    case Pooling::map_all:
      spread(weights.begin(), weights.end(), 1);
      break;
  }
  return weights;
}

void ClassifierHead::count(CostCounter& counter, const TokenLayout& layout) const {
  if (sequence_pool_) counter.add(sequence_pool_->cost(layout.tokens()));
  if (map_pool_)
    counter.add(
        map_pool_->cost(config_.pooling == Pooling::map ? layout.patches() : layout.tokens()));
  const int64_t classes = config_.answer.classes;
  if (config_.pre_logits_dim > 0)
    counter.add({.path = "pre_logits.fc",
                 .output = {config_.pre_logits_dim},
                 .multiply_adds = config_.pooling_dim() * config_.pre_logits_dim});
  if (head_.present())
    counter.add(
        {.path = "head", .output = {classes}, .multiply_adds = config_.pooled_dim() * classes});
  if (head_dist_.present())
    counter.add(
        {.path = "head_dist", .output = {classes}, .multiply_adds = config_.embed_dim * classes});
}

}  // namespace vitrail
