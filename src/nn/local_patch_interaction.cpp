#include "nn/local_patch_interaction.h"

#include <cmath>

#include "ops/activation.h"
#include "ops/tokens.h"

namespace vitrail {
namespace {

constexpr int64_t kTaps = 3;  // along each side

}  // namespace

LocalPatchInteraction::Convolution LocalPatchInteraction::make(const Scope& scope,
                                                               int64_t embed_dim) {
  const Initializer torch = Initializer::torch_uniform(kTaps * kTaps);
  return {scope.filter("weight", {embed_dim, 1, kTaps, kTaps}, torch, ParameterRole::Muon::none),
          scope.parameter("bias", {embed_dim}, torch, ParameterRole::Kind::bias)};
}

LocalPatchInteraction::LocalPatchInteraction(const Scope& scope, int64_t embed_dim,
                                             kernels::Activation activation)
    : embed_dim_(embed_dim),
      activation_(activation),
      path_(scope.path()),
      conv1_(make(scope.child("conv1"), embed_dim)),
      norm_(scope.child("bn"), embed_dim),
      conv2_(make(scope.child("conv2"), embed_dim)) {}

Variable LocalPatchInteraction::Convolution::run(const Context& context,
                                                 const Variable& grid) const {
  return depthwise_convolution(context, grid, weight, &bias,
                               {.window = square_window(kTaps, 1, kTaps / 2)});
}

Variable LocalPatchInteraction::forward(const Context& context, const Variable& x, int64_t height,
                                        int64_t width, const LinearEpilogue& epilogue) const {
  const Variable grid = reshape(context, x, {x.size(0), height, width, embed_dim_});
  const Variable y = activation(context, conv1_.run(context, grid), activation_);
  const Variable mixed = conv2_.run(context, norm_.forward(context, y));
  return apply_epilogue(context, reshape(context, mixed, x.shape()), epilogue);
}

LayerCost LocalPatchInteraction::cost(int64_t tokens) const {
  return {.path = path_,
          .output = {tokens, embed_dim_},
          .multiply_adds = 2 * tokens * embed_dim_ * kTaps * kTaps};
}

}  // namespace vitrail
