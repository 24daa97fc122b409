#include "nn/position/windowed.h"

#include <array>

#include "core/error.h"
#include "ops/elementwise.h"
#include "ops/interpolate.h"
#include "ops/layout.h"
#include "ops/tokens.h"

namespace vitrail {
namespace {

constexpr std::array kChannelsLast{0, 2, 3, 1};

}  // namespace

WindowedPositions::WindowedPositions(const Scope& scope, const WindowedPositionConfig& config)
    : config_(config),
      grid_(scope.parameter("pos_embed",
                            {1, config.embed_dim, config.grid_height, config.grid_width},
                            Initializer::truncated_normal(0.02), ParameterRole::Kind::position)),
      window_(scope.parameter("pos_embed_win",
                              {1, config.embed_dim, config.window_height, config.window_width},
                              Initializer::truncated_normal(0.02), ParameterRole::Kind::position)) {
}

Variable WindowedPositions::stretched(const Context& context, const TokenLayout& layout) const {
  const auto stretch = [&] {
    const Variable table = permute(context, grid_.variable(), kChannelsLast);
    if (layout.grid_height == config_.grid_height && layout.grid_width == config_.grid_width)
      return table;
    return interpolate(
        context, table, MapOrder::channels_last,
        {.mode = config_.resize == PositionResize::bilinear ? kernels::InterpolateMode::bilinear
                                                            : kernels::InterpolateMode::bicubic,
         .antialias = config_.resize == PositionResize::bicubic_antialias,
         .out_height = layout.grid_height,
         .out_width = layout.grid_width});
  };
  if (context.tape != nullptr) return stretch();
  const std::string key =
      "grid." + std::to_string(layout.grid_height) + "x" + std::to_string(layout.grid_width);
  return *grid_.derived<Tensor>(key, [&](const Tensor&) { return stretch().value(); });
}

Variable WindowedPositions::repeated(const Context& context, const TokenLayout& layout) const {
  const int64_t height = config_.window_height, width = config_.window_width;
  const int64_t down = layout.grid_height / height, across = layout.grid_width / width;
  const int64_t dim = config_.embed_dim;
  const Variable window = reshape(context, permute(context, window_.variable(), kChannelsLast),
                                  {1, 1, height, 1, width, dim});
  return reshape(context, expand(context, window, {1, down, height, across, width, dim}),
                 {1, layout.grid_height, layout.grid_width, dim});
}

Variable WindowedPositions::table(const Context& context, const TokenLayout& layout) const {
  check(layout.prefix() == 0, "position",
        "positions of windows have no place for the {} tokens before the patches", layout.prefix());
  check(layout.grid_height % config_.window_height == 0 &&
            layout.grid_width % config_.window_width == 0,
        "position", "a grid of {}x{} is no whole number of windows of {}x{}", layout.grid_height,
        layout.grid_width, config_.window_height, config_.window_width);
  return reshape(context, add(context, stretched(context, layout), repeated(context, layout)),
                 {1, layout.patches(), config_.embed_dim});
}

}  // namespace vitrail
