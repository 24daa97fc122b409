#include "nn/position_embedding.h"

#include "core/error.h"

namespace vitrail {
namespace {

std::unique_ptr<PositionStrategy> added_positions(const Scope& scope, const PositionConfig& c) {
  switch (c.kind) {
    case Position::none:
      return std::make_unique<NoPositions>();
    case Position::learned:
      return std::make_unique<LearnedPositions>(scope,
                                                LearnedPositionConfig{.embed_dim = c.embed_dim,
                                                                      .prefix = c.prefix,
                                                                      .grid_height = c.grid_height,
                                                                      .grid_width = c.grid_width,
                                                                      .resize = c.resize});
    case Position::sinusoidal_1d:
      return std::make_unique<SinusoidalPositions>(c.embed_dim, c.prefix);
    case Position::sincos_2d:
      return std::make_unique<SincosPositions>(c.embed_dim, c.prefix, SincosFrequencies::open);
    case Position::sincos_2d_closed:
      return std::make_unique<SincosPositions>(c.embed_dim, c.prefix, SincosFrequencies::closed);
  }
  fail("position", "unknown kind of positions");
}

}  // namespace

PositionEmbedding::PositionEmbedding(const Scope& scope, const PositionConfig& config)
    : config_(config), strategy_(added_positions(scope, config)) {}

}  // namespace vitrail
