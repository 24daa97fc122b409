#include "nn/position/offset.h"

#include <array>
#include <cstdlib>

#include "core/error.h"
#include "ops/tokens.h"

namespace vitrail {
namespace {

// The entry of a pair is its distance of rows times the width, and its distance of columns.
RelativeIndex offset_index(const OffsetPositionConfig& c) {
  const int64_t rows = (c.grid_height - 1) / c.query_stride + 1;
  const int64_t columns = (c.grid_width - 1) / c.query_stride + 1;
  const int64_t keys = c.grid_height * c.grid_width;
  const Tensor index = Tensor::empty({rows * columns, keys}, DType::i32);
  auto* entry = index.data<int32_t>();
  for (int64_t query = 0; query < rows * columns; ++query) {
    const int64_t y = query / columns * c.query_stride, x = query % columns * c.query_stride;
    for (int64_t key = 0; key < keys; ++key)
      *entry++ = static_cast<int32_t>(std::abs(y - key / c.grid_width) * c.grid_width +
                                      std::abs(x - key % c.grid_width));
  }
  return relative_index(index, keys);
}

}  // namespace

OffsetPositions::OffsetPositions(const Scope& scope, const OffsetPositionConfig& config)
    : config_(config),
      table_(scope.parameter("attention_biases",
                             {config.num_heads, config.grid_height * config.grid_width},
                             Initializer::zeros(), ParameterRole::Kind::position)) {}

void OffsetPositions::describe(const Context& context, const TokenLayout& layout, int64_t /*block*/,
                               AttentionOptions* options) const {
  check(layout.prefix() == 0 && layout.grid_height == config_.grid_height &&
            layout.grid_width == config_.grid_width,
        "position", "{} of a grid of {}x{} do not fit one of {}x{}", table_.path(),
        config_.grid_height, config_.grid_width, layout.grid_height, layout.grid_width);
  options->relative.index = *indices_.get(layout, [&] { return offset_index(config_); });
  const auto by_entry = [&] { return permute(context, table_.variable(), std::array{1, 0}); };
  if (context.tape != nullptr)
    options->relative.table = by_entry();
  else
    options->relative.table =
        *table_.derived<Tensor>("by_entry", [&](const Tensor&) { return by_entry().value(); });
}

}  // namespace vitrail
