#include "nn/position/fourier.h"

#include <cmath>
#include <numbers>

#include "ops/linear.h"

namespace vitrail {

Tensor fourier_waves(int64_t grid_height, int64_t grid_width, int64_t waves) {
  constexpr double kTemperature = 10000, kEpsilon = 1e-6;
  Tensor table = Tensor::empty({1, grid_height * grid_width, 2 * waves});
  float* out = table.f32();
  const auto write = [&](int64_t position, int64_t count) {
    const double angle = 2 * std::numbers::pi * static_cast<double>(position + 1) /
                         (static_cast<double>(count) + kEpsilon);
    for (int64_t i = 0; i < waves; ++i) {
      const double exponent = 2.0 * static_cast<double>(i / 2) / static_cast<double>(waves);
      const double turned = angle / std::pow(kTemperature, exponent);
      *out++ = static_cast<float>(i % 2 == 0 ? std::sin(turned) : std::cos(turned));
    }
  };
  for (int64_t y = 0; y < grid_height; ++y)
    for (int64_t x = 0; x < grid_width; ++x) {
      write(y, grid_height);
      write(x, grid_width);
    }
  return table;
}

FourierPositions::FourierPositions(const Scope& scope, int64_t embed_dim)
    : weight_(scope.child("token_projection")
                  .parameter("weight", {embed_dim, 2 * kWaves, 1, 1},
                             Initializer::torch_uniform(2 * kWaves), ParameterRole::Kind::matrix)),
      bias_(scope.child("token_projection")
                .parameter("bias", {embed_dim}, Initializer::torch_uniform(2 * kWaves),
                           ParameterRole::Kind::bias)) {
  weight_.set_read_packed();
}

Variable FourierPositions::table(const Context& context, const TokenLayout& layout) const {
  const auto waves = waves_.get(
      layout, [&] { return fourier_waves(layout.grid_height, layout.grid_width, kWaves); });
  const Variable input(*waves);
  return linear(context, input, weight_, &bias_);
}

}  // namespace vitrail
