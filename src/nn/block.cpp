#include "nn/block.h"

#include "ops/dropout.h"
#include "ops/elementwise.h"

namespace vitrail {

Block::Block(const Scope& scope, const BlockConfig& config) : config_(config), path_(scope.path()) {
  for (size_t i = 0; i < static_cast<size_t>(config.branches); ++i) {
    const Scope layer = place(scope, "attns", i).child("attn");
    attentions_.push_back(
        {.layer = Attention(layer, config.attention), .path = layer.path() + ".proj"});
  }
  for (size_t i = 0; i < static_cast<size_t>(config.branches); ++i) {
    const Scope layer = place(scope, "ffns", i).child("mlp");
    mlps_.push_back({.layer = Mlp(layer, config.mlp), .path = layer.path() + ".fc2"});
  }
  if (config.layer_scale) add_scales(scope);
  // One draw leaves out both.
  if (parallel()) mlps_.front().path = attentions_.front().path;
  if (config.norms == NormPlacement::cct)
    pre_norm_.emplace(scope.child("pre_norm"), config.attention.embed_dim, config.epsilon,
                      config.norm);
  if (config.norms != NormPlacement::none) add_norms(scope);
}

Scope Block::place(const Scope& scope, const char* list, size_t index) const {
  return config_.branches == 1 ? scope : scope.child(list).child(static_cast<int64_t>(index));
}

void Block::add_scales(const Scope& scope) {
  const auto scale = [&](const char* list, size_t index, const char* alone) {
    return &place(scope, list, index)
                .child(config_.branches == 1 ? alone : "ls")
                .parameter("gamma", {config_.attention.embed_dim},
                           Initializer::constant(config_.layer_scale_init),
                           ParameterRole::Kind::scale);
  };
  for (size_t i = 0; i < attentions_.size(); ++i) attentions_[i].scale = scale("attns", i, "ls1");
  for (size_t i = 0; i < mlps_.size(); ++i)
    mlps_[i].scale = parallel() ? attentions_[i].scale : scale("ffns", i, "ls2");
}

void Block::add_norms(const Scope& scope) {
  const auto add = [&](std::optional<LayerNorm>& norm, const char* list, size_t index,
                       const char* alone) {
    norm.emplace(place(scope, list, index).child(config_.branches == 1 ? alone : "norm"),
                 config_.attention.embed_dim, config_.epsilon, config_.norm);
  };
  for (size_t i = 0; i < attentions_.size(); ++i) add(attentions_[i].norm, "attns", i, "norm1");
  if (config_.norms == NormPlacement::cct || parallel()) return;
  for (size_t i = 0; i < mlps_.size(); ++i) add(mlps_[i].norm, "ffns", i, "norm2");
}

std::vector<const Attention*> Block::attentions() const {
  std::vector<const Attention*> layers;
  for (const AttentionBranch& branch : attentions_) layers.push_back(&branch.layer);
  return layers;
}

void Block::count(CostCounter& counter, int64_t tokens, int64_t pairs) const {
  for (const AttentionBranch& branch : attentions_) counter.add(branch.layer.cost(tokens, pairs));
  for (const MlpBranch& branch : mlps_) counter.add(branch.layer.cost(tokens));
}

void Block::visit_linears(const VisitLinear& visit) {
  for (AttentionBranch& branch : attentions_) branch.layer.visit_linears(visit);
  for (MlpBranch& branch : mlps_) branch.layer.visit_linears(visit);
}

LinearEpilogue Block::epilogue(const std::string& path, const Parameter* scale,
                               const Variable* residual) const {
  return {.dropout = parallel() ? 0 : config_.dropout,
          .layer_scale = scale,
          .drop_path = residual == nullptr ? 0 : config_.drop_path,
          .residual = residual,
          .path = path};
}

Variable Block::attend(const Context& context, const AttentionBranch& branch,
                       const LinearInput& input, const Variable* residual,
                       const AttentionOptions* terms) const {
  return branch.layer.forward(context, input, epilogue(branch.path, branch.scale, residual), terms);
}

Variable Block::transform(const Context& context, const MlpBranch& branch, const LinearInput& input,
                          const Variable* residual, bool overwrite) const {
  LinearEpilogue last = epilogue(branch.path, branch.scale, residual);
  if (overwrite && residual != nullptr && context.tape == nullptr)
    last.destination = &residual->value();
  return branch.layer.forward(context, input, last);
}

Variable Block::in_sequence(const Context& context, Variable x,
                            const AttentionOptions* terms) const {
  Variable y = x;
  for (const AttentionBranch& branch : attentions_)
    y = attend(context, branch, branch.norm->before(x), &y, terms);
  x = {};
  Variable z = y;
  for (const MlpBranch& branch : mlps_) {
    // Branches that follow read y.
    const bool overwrite = mlps_.size() == 1 || &branch != &mlps_.front();
    z = transform(context, branch, branch.norm->before(y), &z, overwrite);
  }
  return z;
}

Variable Block::forward(const Context& context, Variable x, const AttentionOptions* terms) const {
  const AttentionBranch& attention = attentions_.front();
  const MlpBranch& mlp = mlps_.front();
  switch (config_.norms) {
    case NormPlacement::pre:
      return in_sequence(context, std::move(x), terms);
    case NormPlacement::post: {
      const Variable y = attention.norm->forward(context, attend(context, attention, x, &x, terms));
      return mlp.norm->forward(context, transform(context, mlp, y, &y, true));
    }
    case NormPlacement::res_post: {
      const auto branch = [&](const LayerNorm& norm, const Variable& f, const std::string& path) {
        return drop_path(context, norm.forward(context, f), config_.drop_path, path);
      };
      const Variable y = add(
          context, x,
          branch(*attention.norm, attend(context, attention, x, nullptr, terms), attention.path));
      return add(context, y,
                 branch(*mlp.norm, transform(context, mlp, y, nullptr, false), mlp.path));
    }
    case NormPlacement::none: {
      const Variable y = attend(context, attention, x, &x, terms);
      return transform(context, mlp, y, &y, true);
    }
    case NormPlacement::cct: {
      const Variable y = attention.norm->forward(
          context, attend(context, attention, pre_norm_->before(x), &x, terms));
      return transform(context, mlp, y, &y, true);
    }
    case NormPlacement::parallel: {
      const Variable normalised = attention.norm->forward(context, x);
      const Variable y = attend(context, attention, normalised, &x, terms);
      x = {};
      return transform(context, mlp, normalised, &y, true);
    }
  }
  fail("block", "unknown placement of norms");
}

}  // namespace vitrail
