#include "nn/position/added.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/error.h"
#include "ops/interpolate.h"
#include "ops/tokens.h"

namespace vitrail {

Tensor sinusoidal_1d_table(int64_t rows, int64_t embed_dim) {
  Tensor table = Tensor::empty({1, rows, embed_dim});
  for (int64_t p = 0; p < rows; ++p)
    for (int64_t i = 0; i < embed_dim; ++i) {
      const double exponent = 2.0 * static_cast<double>(i / 2) / static_cast<double>(embed_dim);
      const double angle = static_cast<double>(p) / std::pow(10000.0, exponent);
      table.f32()[p * embed_dim + i] =
          static_cast<float>(i % 2 == 0 ? std::sin(angle) : std::cos(angle));
    }
  return table;
}

Tensor sincos_2d_table(int64_t grid_height, int64_t grid_width, int64_t embed_dim,
                       SincosFrequencies frequencies) {
  check(embed_dim % 4 == 0, "position", "sincos_2d needs an embed_dim divisible by 4, not {}",
        embed_dim);
  const bool closed = frequencies == SincosFrequencies::closed;
  check(!closed || embed_dim > 4, "position", "sincos_2d_closed needs an embed_dim of 8 or more");
  const int64_t quarter = embed_dim / 4;
  const auto steps = static_cast<double>(closed ? quarter - 1 : quarter);
  Tensor table = Tensor::empty({1, grid_height * grid_width, embed_dim});
  float* out = table.f32();
  for (int64_t y = 0; y < grid_height; ++y)
    for (int64_t x = 0; x < grid_width; ++x, out += embed_dim)
      for (int64_t i = 0; i < quarter; ++i) {
        const double omega = std::pow(10000.0, -static_cast<double>(i) / steps);
        const double across = static_cast<double>(x) * omega, down = static_cast<double>(y) * omega;
        out[i] = static_cast<float>(std::sin(across));
        out[quarter + i] = static_cast<float>(std::cos(across));
        out[2 * quarter + i] = static_cast<float>(std::sin(down));
        out[3 * quarter + i] = static_cast<float>(std::cos(down));
      }
  return table;
}

LearnedPositions::LearnedPositions(const Scope& scope, const LearnedPositionConfig& config)
    : config_(config),
      weight_(scope.parameter(
          "pos_embed",
          config.by_axes ? Shape{1, config.grid_height, config.grid_width, config.embed_dim}
                         : Shape{1, rows(), config.embed_dim},
          Initializer::truncated_normal(0.02), ParameterRole::Kind::position)) {}

Variable LearnedPositions::stored(const Context& context) const {
  if (!config_.by_axes) return weight_.variable();
  return reshape(context, weight_.variable(), {1, rows(), config_.embed_dim});
}

Variable LearnedPositions::resized(const Context& context, const TokenLayout& layout) const {
  const Variable whole = stored(context);
  const bool antialias = config_.resize == PositionResize::bicubic_antialias ||
                         config_.resize == PositionResize::bilinear_antialias;
  const bool bilinear = config_.resize == PositionResize::bilinear ||
                        config_.resize == PositionResize::bilinear_antialias;
  GridResize resize{
      .mode = bilinear ? kernels::InterpolateMode::bilinear : kernels::InterpolateMode::bicubic,
      .antialias = antialias,
      .in_height = config_.grid_height,
      .in_width = config_.grid_width,
      .out_height = layout.grid_height,
      .out_width = layout.grid_width};
  if (config_.resize == PositionResize::bicubic_offset) {
    // DINOv2 adds 0.1 to the grid before it divides, and torch samples at 1 / that scale.
    const auto factor = [](int64_t out, int64_t in) {
      return (static_cast<double>(out) + 0.1) / static_cast<double>(in);
    };
    resize.scale_height = factor(layout.grid_height, config_.grid_height);
    resize.scale_width = factor(layout.grid_width, config_.grid_width);
  }
  const Variable grid =
      interpolate_tokens(context, slice(context, whole, 1, config_.prefix, rows()), resize);
  if (config_.prefix == 0) return grid;
  const std::array parts{slice(context, whole, 1, 0, config_.prefix), grid};
  return concatenate(context, parts, 1);
}

Variable LearnedPositions::table(const Context& context, const TokenLayout& layout) const {
  if (layout.grid_height == config_.grid_height && layout.grid_width == config_.grid_width)
    return stored(context);
  if (context.tape != nullptr) return resized(context, layout);
  // Inference resizes once a size and keeps the result until the weight changes.
  const std::string key =
      "grid." + std::to_string(layout.grid_height) + "x" + std::to_string(layout.grid_width);
  return *weight_.derived<Tensor>(key,
                                  [&](const Tensor&) { return resized(context, layout).value(); });
}

Variable SinusoidalPositions::table(const Context& /*context*/, const TokenLayout& layout) const {
  return sinusoidal_1d_table(prefix_ + layout.patches(), embed_dim_);
}

Variable SincosPositions::table(const Context& /*context*/, const TokenLayout& layout) const {
  const Tensor grid =
      sincos_2d_table(layout.grid_height, layout.grid_width, embed_dim_, frequencies_);
  Tensor table = Tensor::zeros({1, prefix_ + layout.patches(), embed_dim_});
  std::ranges::copy(grid.values(), table.f32() + prefix_ * embed_dim_);
  return table;
}

}  // namespace vitrail
