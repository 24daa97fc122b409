#include "nn/head_mixing.h"

#include <array>
#include <cmath>

#include "ops/tokens.h"

namespace vitrail {
namespace {

// Of the norm over heads: torch's own.
constexpr double kHeadNormEpsilon = 1e-5;

}  // namespace

HeadMixer::HeadMixer(const Scope& attention, HeadMixingKind kind, int64_t heads)
    : kind_(kind), heads_(heads) {
  using Kind = ParameterRole::Kind;
  const auto bias = [&](const Scope& scope) {
    return &scope.parameter("bias", {heads}, Initializer::zeros(), Kind::bias);
  };
  // Their own library draws these matrices from a unit normal; a product of such mixings grows with
  // the heads, so that training starts from one of unit gain.
  const Initializer unit =
      Initializer::truncated_normal(1.0 / std::sqrt(static_cast<double>(heads)));
  const auto matrix = [&](const Scope& scope, const char* name, const Initializer& initializer) {
    return &scope.parameter(name, {heads, heads}, initializer, Kind::matrix);
  };
  switch (kind) {
    case HeadMixingKind::none:
      return;
    case HeadMixingKind::projections: {
      const Initializer small = Initializer::truncated_normal(0.02);
      before_ = matrix(attention.child("proj_l"), "weight", small);
      before_bias_ = bias(attention.child("proj_l"));
      after_ = matrix(attention.child("proj_w"), "weight", small);
      after_bias_ = bias(attention.child("proj_w"));
      return;
    }
    case HeadMixingKind::matrices:
      before_ = matrix(attention, "mix_heads_pre_attn", unit);
      after_ = matrix(attention, "mix_heads_post_attn", unit);
      return;
    case HeadMixingKind::reattention: {
      after_ = matrix(attention, "reattn_weights", unit);
      const Scope norm = attention.child("reattn_norm");
      Parameter& gamma = norm.parameter("weight", {heads}, Initializer::constant(1), Kind::norm);
      norm_.emplace(LayerNormWeights{
          gamma, &norm.parameter("bias", {heads}, Initializer::zeros(), Kind::norm),
          kHeadNormEpsilon});
      return;
    }
  }
}

void HeadMixer::add_to(const Context& context, AttentionOptions* options) const {
  if (kind_ == HeadMixingKind::none) return;
  // Stored by the head that is read, mixed by the head that comes out.
  const bool turned = kind_ != HeadMixingKind::projections;
  const auto value = [&](const Parameter* parameter, bool turn) {
    if (parameter == nullptr) return Variable();
    return turn ? permute(context, parameter->variable(), std::array{1, 0}) : parameter->variable();
  };
  options->mixing = {.before = value(before_, turned),
                     .before_bias = value(before_bias_, false),
                     .after = value(after_, turned),
                     .after_bias = value(after_bias_, false),
                     .norm = norm_ ? &*norm_ : nullptr,
                     .drops_before = turned};
}

int64_t HeadMixer::multiply_adds() const {
  return ((before_ != nullptr ? 1 : 0) + (after_ != nullptr ? 1 : 0)) * heads_ * heads_;
}

}  // namespace vitrail
