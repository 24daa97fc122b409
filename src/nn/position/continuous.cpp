#include "nn/position/continuous.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "ops/activation.h"
#include "ops/elementwise.h"
#include "ops/matmul.h"

namespace vitrail {
namespace {

constexpr double kEdge = 8;      // the coordinate of the window's edge, before the logarithm
constexpr float kMostBias = 16;  // times the sigmoid

float log_coordinate(int64_t offset, int64_t window) {
  const double at =
      kEdge * static_cast<double>(offset) / static_cast<double>(std::max<int64_t>(window - 1, 1));
  return static_cast<float>(std::copysign(std::log2(std::abs(at) + 1) / std::log2(kEdge), at));
}

}  // namespace

Tensor continuous_offsets(int64_t height, int64_t width, int64_t pretrained_window) {
  const int64_t rows = 2 * height - 1, columns = 2 * width - 1;
  const int64_t unit_height = pretrained_window > 0 ? pretrained_window : height;
  const int64_t unit_width = pretrained_window > 0 ? pretrained_window : width;
  Tensor out = Tensor::empty({rows * columns, 2});
  for (int64_t i = 0; i < rows * columns; ++i) {
    out.f32()[2 * i] = log_coordinate(i / columns - (height - 1), unit_height);
    out.f32()[2 * i + 1] = log_coordinate(i % columns - (width - 1), unit_width);
  }
  return out;
}

ContinuousPositions::ContinuousPositions(const Scope& scope, const ContinuousPositionConfig& config)
    : config_(config),
      // Its parameters make a table of positions, so that they are treated as one: not decayed.
      first_weight_(scope.child("cpb_mlp")
                        .child(int64_t{0})
                        .parameter("weight", {config.hidden, 2},
                                   Initializer::truncated_normal(0.02),
                                   ParameterRole::Kind::position)),
      first_bias_(scope.child("cpb_mlp")
                      .child(int64_t{0})
                      .parameter("bias", {config.hidden}, Initializer::zeros(),
                                 ParameterRole::Kind::position)),
      second_weight_(scope.child("cpb_mlp")
                         .child(int64_t{2})
                         .parameter("weight", {config.num_heads, config.hidden},
                                    Initializer::truncated_normal(0.02),
                                    ParameterRole::Kind::position)) {}

Variable ContinuousPositions::computed(const Context& context, const TokenLayout& layout) const {
  const Variable offsets(
      continuous_offsets(layout.grid_height, layout.grid_width, config_.pretrained_window));
  Variable x = matmul(context, offsets, first_weight_.variable(), {.transpose_b = true});
  x = activation(context, add(context, x, first_bias_.variable()), kernels::Activation::relu);
  x = matmul(context, x, second_weight_.variable(), {.transpose_b = true});
  return scale(context, activation(context, x, kernels::Activation::sigmoid), kMostBias);
}

void ContinuousPositions::describe(const Context& context, const TokenLayout& layout,
                                   int64_t /*block*/, AttentionOptions* options) const {
  check(layout.prefix() == 0, "position",
        "continuous relative positions do not fit {} tokens before the patches", layout.prefix());
  RelativeBias& relative = options->relative;
  relative.index =
      *indices_.get(layout, [&] { return relative_grid(layout.grid_height, layout.grid_width); });
  if (context.tape != nullptr)
    relative.table = computed(context, layout);
  else
    relative.table = *table_.get({&first_weight_, &first_bias_, &second_weight_},
                                 {layout.grid_height, layout.grid_width},
                                 [&] { return computed(context, layout).value(); });
}

}  // namespace vitrail
