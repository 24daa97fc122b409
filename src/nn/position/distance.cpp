#include "nn/position/distance.h"

#include <cmath>

namespace vitrail {
namespace {

Tensor first_slopes(int64_t heads) {
  Tensor slopes = Tensor::empty({heads});
  for (int64_t h = 0; h < heads; ++h)
    slopes.f32()[h] = static_cast<float>(
        std::exp2(-8.0 * static_cast<double>(h + 1) / static_cast<double>(heads)));
  return slopes;
}

}  // namespace

DistancePositions::DistancePositions(const Scope& scope, int64_t num_heads)
    : slopes_(scope.parameter("slopes", {num_heads}, Initializer::table(first_slopes(num_heads)),
                              ParameterRole::Kind::position)) {}

void DistancePositions::describe(const Context& /*context*/, const TokenLayout& layout,
                                 int64_t /*block*/, AttentionOptions* options) const {
  const Tensor places = *places_.get(
      layout, [&] { return grid_places(layout.grid_height, layout.grid_width, layout.prefix()); });
  options->distance = {.slopes = slopes_.variable(),
                       .query_places = places,
                       .key_places = places,
                       .prefix = layout.prefix()};
}

}  // namespace vitrail
