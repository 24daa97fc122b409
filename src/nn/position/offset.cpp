#include "nn/position/offset.h"

#include <array>
#include <cstdlib>

#include "core/error.h"
#include "ops/gather.h"
#include "ops/tokens.h"

namespace vitrail {
namespace {

RelativeIndex offset_index(const OffsetPositionConfig& c) {
  RelativeIndex index = relative_grid(c.grid_height, c.grid_width);
  if (c.query_stride == 1) return index;
  const int64_t rows = (c.grid_height - 1) / c.query_stride + 1;
  const int64_t columns = (c.grid_width - 1) / c.query_stride + 1;
  const Tensor asking = Tensor::empty({rows * columns}, DType::i32);
  for (int64_t i = 0; i < rows * columns; ++i)
    asking.data<int32_t>()[i] =
        index.query_entry
            .data<int32_t>()[(i / columns * c.grid_width + i % columns) * c.query_stride];
  index.query_entry = asking;
  return index;
}

}  // namespace

OffsetPositions::OffsetPositions(const Scope& scope, const OffsetPositionConfig& config)
    : config_(config),
      biases_(scope.parameter("attention_biases",
                              {config.num_heads, config.grid_height * config.grid_width},
                              Initializer::zeros(), ParameterRole::Kind::position)),
      entries_(
          Tensor::empty({(2 * config.grid_height - 1) * (2 * config.grid_width - 1)}, DType::i64)),
      index_(offset_index(config)) {
  auto* entry = entries_.data<int64_t>();
  for (int64_t y = 1 - config.grid_height; y < config.grid_height; ++y)
    for (int64_t x = 1 - config.grid_width; x < config.grid_width; ++x)
      *entry++ = std::abs(y) * config.grid_width + std::abs(x);
}

void OffsetPositions::describe(const Context& context, const TokenLayout& layout, int64_t,
                               AttentionOptions* options) const {
  check(layout.prefix() == 0 && layout.grid_height == config_.grid_height &&
            layout.grid_width == config_.grid_width,
        "position", "{} are biases for a grid of {}x{}, not for one of {}x{}", biases_.path(),
        config_.grid_height, config_.grid_width, layout.grid_height, layout.grid_width);
  // The table of signed offsets is small; N x N biases are never made.
  const Variable by_entry = permute(context, biases_.variable(), std::array{1, 0});
  options->relative = {.table = index_select(context, by_entry, 0, entries_), .index = index_};
}

}  // namespace vitrail
