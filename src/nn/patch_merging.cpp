#include "nn/patch_merging.h"

#include <array>

#include "ops/layout.h"
#include "ops/tokens.h"

namespace vitrail {

PatchMerging::PatchMerging(const Scope& scope, const PatchMergingConfig& config)
    : config_(config),
      path_(scope.path()),
      norm_(scope.child("norm"), config.norm_first ? 4 * config.inputs : config.outputs,
            config.epsilon),
      reduction_(scope.child("reduction"), 4 * config.inputs, config.outputs, {.bias = false}) {}

Variable PatchMerging::forward(const Context& context, const Variable& x) const {
  const int64_t batch = x.size(0), height = cells(x.size(1)), width = cells(x.size(2));
  const int64_t dim = x.size(3), below = 2 * height - x.size(1), right = 2 * width - x.size(2);
  Variable grid = x;
  if (below > 0 || right > 0)
    grid = pad(context, x, {{.axis = 1, .after = below}, {.axis = 2, .after = right}});
  grid = reshape(context, grid, {batch, height, 2, width, 2, dim});
  grid = permute(context, grid, std::array{0, 1, 3, 4, 2, 5});
  const Variable four = reshape(context, grid, {batch, height, width, 4 * dim});
  if (config_.norm_first) return reduction_->forward(context, norm_.before(four));
  return norm_.forward(context, reduction_->forward(context, four));
}

LayerCost PatchMerging::cost(int64_t height, int64_t width) const {
  const int64_t tokens = cells(height) * cells(width);
  return {.path = path_,
          .output = {tokens, config_.outputs},
          .multiply_adds = tokens * 4 * config_.inputs * config_.outputs,
          .values = tokens * (3 * 4 * config_.inputs + config_.outputs)};
}

}  // namespace vitrail
