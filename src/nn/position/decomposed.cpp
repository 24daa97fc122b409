#include "nn/position/decomposed.h"

#include "core/error.h"
#include "ops/interpolate.h"
#include "ops/tokens.h"

namespace vitrail {

DecomposedPositions::DecomposedPositions(const Scope& scope, const DecomposedPositionConfig& config)
    : config_(config),
      rows_(scope.parameter("rel_pos_h", {2 * config.grid_height - 1, config.head_dim},
                            Initializer::zeros(), ParameterRole::Kind::position)),
      columns_(scope.parameter("rel_pos_w", {2 * config.grid_width - 1, config.head_dim},
                               Initializer::zeros(), ParameterRole::Kind::position)) {}

Variable DecomposedPositions::resized(const Context& context, const Parameter& table,
                                      int64_t size) const {
  const int64_t entries = table.shape()[0], wanted = 2 * size - 1;
  if (entries == wanted) return table.variable();
  const auto resize = [&] {
    const Variable grid = reshape(context, table.variable(), {1, entries, config_.head_dim});
    return reshape(context,
                   interpolate_tokens(context, grid,
                                      {.mode = kernels::InterpolateMode::bilinear,
                                       .in_height = entries,
                                       .in_width = 1,
                                       .out_height = wanted,
                                       .out_width = 1}),
                   {wanted, config_.head_dim});
  };
  if (context.tape != nullptr) return resize();
  return *table.derived<Tensor>("grid." + std::to_string(size),
                                [&](const Tensor&) { return resize().value(); });
}

void DecomposedPositions::describe(const Context& context, const TokenLayout& layout,
                                   int64_t /*block*/, AttentionOptions* options) const {
  check(layout.prefix() == 0, "position",
        "positions by rows and columns have no place for the {} tokens before the patches",
        layout.prefix());
  options->decomposed = {.rows = resized(context, rows_, layout.grid_height),
                         .columns = resized(context, columns_, layout.grid_width),
                         .height = layout.grid_height,
                         .width = layout.grid_width};
}

}  // namespace vitrail
