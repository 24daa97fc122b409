#include "nn/overlap_embedding.h"

#include <cmath>

namespace vitrail {
namespace {

// He et al. 2015, eq. 10, over what a pixel of the output reaches.
Initializer filter_values(const OverlapEmbeddingConfig& c) {
  return Initializer::truncated_normal(
      std::sqrt(2.0 / static_cast<double>(c.kernel * c.kernel * c.embed_dim)));
}

}  // namespace

OverlapEmbedding::OverlapEmbedding(const Scope& scope, const OverlapEmbeddingConfig& config)
    : config_(config),
      path_(scope.path()),
      weight_(scope.child("proj").filter(
          "weight", {config.embed_dim, config.channels, config.kernel, config.kernel},
          filter_values(config), ParameterRole::Muon::none)),
      bias_(scope.child("proj").parameter("bias", {config.embed_dim}, Initializer::zeros(),
                                          ParameterRole::Kind::bias)),
      norm_(scope.child("norm"), config.embed_dim, config.epsilon) {}

Variable OverlapEmbedding::forward(const Context& context, const Variable& x) const {
  const Variable y = convolution(context, x, weight_, &bias_,
                                 square_window(config_.kernel, config_.stride, padding()));
  return norm_.forward(context, y);
}

LayerCost OverlapEmbedding::cost(int64_t height, int64_t width) const {
  const int64_t count = cells(height) * cells(width);
  return {.path = path_,
          .output = {count, config_.embed_dim},
          .multiply_adds =
              count * config_.channels * config_.kernel * config_.kernel * config_.embed_dim};
}

}  // namespace vitrail
