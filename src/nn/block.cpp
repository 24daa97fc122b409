#include "nn/block.h"

#include "ops/dropout.h"
#include "ops/elementwise.h"

namespace vitrail {

Block::Block(const Scope& scope, const BlockConfig& config)
    : config_(config),
      path_(scope.path()),
      attention_path_(path_ + ".attn.proj"),
      mlp_path_(path_ + ".mlp.fc2"),
      attn_(scope.child("attn"), config.attention),
      mlp_(scope.child("mlp"), config.mlp) {
  const int64_t dim = config.attention.embed_dim;
  const auto scale = [&](const char* name) {
    return &scope.child(name).parameter(
        "gamma", {dim}, Initializer::constant(config.layer_scale_init), ParameterRole::Kind::scale);
  };
  if (config.layer_scale) {
    scale1_ = scale("ls1");
    scale2_ = scale("ls2");
  }
  if (config.norms == NormPlacement::cct)
    pre_norm_.emplace(scope.child("pre_norm"), dim, config.epsilon, config.norm);
  if (config.norms != NormPlacement::none)
    norm1_.emplace(scope.child("norm1"), dim, config.epsilon, config.norm);
  if (config.norms != NormPlacement::none && config.norms != NormPlacement::cct)
    norm2_.emplace(scope.child("norm2"), dim, config.epsilon, config.norm);
}

Variable Block::attend(const Context& context, const LinearInput& input, const Variable* residual,
                       const AttentionOptions* terms) const {
  return attn_.forward(context, input,
                       {.dropout = config_.dropout,
                        .layer_scale = scale1_,
                        .drop_path = residual == nullptr ? 0 : config_.drop_path,
                        .residual = residual,
                        .path = attention_path_},
                       terms);
}

Variable Block::transform(const Context& context, const LinearInput& input,
                          const Variable* residual) const {
  const bool in_place = residual != nullptr && context.tape == nullptr;
  return mlp_.forward(context, input,
                      {.dropout = config_.dropout,
                       .layer_scale = scale2_,
                       .drop_path = residual == nullptr ? 0 : config_.drop_path,
                       .residual = residual,
                       .path = mlp_path_,
                       .destination = in_place ? &residual->value() : nullptr});
}

Variable Block::forward(const Context& context, Variable x, const AttentionOptions* terms) const {
  switch (config_.norms) {
    case NormPlacement::pre: {
      const Variable y = attend(context, norm1_->before(x), &x, terms);
      x = {};
      return transform(context, norm2_->before(y), &y);
    }
    case NormPlacement::post: {
      const Variable y = norm1_->forward(context, attend(context, x, &x, terms));
      return norm2_->forward(context, transform(context, y, &y));
    }
    case NormPlacement::res_post: {
      const auto branch = [&](const LayerNorm& norm, const Variable& f, const std::string& path) {
        return drop_path(context, norm.forward(context, f), config_.drop_path, path);
      };
      const Variable y =
          add(context, x, branch(*norm1_, attend(context, x, nullptr, terms), attention_path_));
      return add(context, y, branch(*norm2_, transform(context, y, nullptr), mlp_path_));
    }
    case NormPlacement::none: {
      const Variable y = attend(context, x, &x, terms);
      return transform(context, y, &y);
    }
    case NormPlacement::cct: {
      const Variable y = norm1_->forward(context, attend(context, pre_norm_->before(x), &x, terms));
      return transform(context, y, &y);
    }
  }
  fail("block", "unknown placement of norms");
}

}  // namespace vitrail
