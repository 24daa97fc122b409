#include "nn/window_block.h"

#include "ops/tokens.h"

namespace vitrail {

WindowBlock::WindowBlock(const Scope& scope, const WindowBlockConfig& config)
    : config_(config), block_(scope, config.block) {
  if (config.tables)
    tables_ = std::make_unique<DecomposedPositions>(scope.child("attn"), *config.tables);
  if (config.residual) residual_.emplace(scope.child("residual"), *config.residual);
}

Variable WindowBlock::forward(const Context& context, Variable x, const TokenLayout& layout,
                              const AttentionWindows& windows) const {
  TokenLayout together = layout;  // those that attend to each other
  AttentionOptions terms;
  if (!global()) {
    together.grid_height = together.grid_width = config_.window;
    terms.windows = &windows;
  }
  if (tables_ != nullptr) tables_->describe(context, together, 0, &terms);
  const Variable y = block_.forward(context, std::move(x), &terms);
  if (!residual_) return y;
  const Shape tokens = y.shape();
  const Variable grid =
      reshape(context, y, {tokens[0], layout.grid_height, layout.grid_width, tokens[2]});
  return reshape(context, residual_->forward(context, grid), tokens);
}

void WindowBlock::count(CostCounter& counter, const TokenLayout& layout,
                        const AttentionWindows& windows) const {
  const int64_t tokens = layout.patches();
  block_.count(counter, tokens,
               global() ? tokens * tokens : windows.windows * windows.tokens * windows.tokens);
  if (residual_) counter.add(residual_->cost(tokens));
}

}  // namespace vitrail
