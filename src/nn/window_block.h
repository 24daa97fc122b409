// A Transformer block over a grid whose attention is global or in square windows, with positions by
// rows and columns, and a convolutional residual behind it where there is one: the block of ViTDet
// and of SAM's image encoder (Li et al. 2022, "Exploring Plain Vision Transformer Backbones for
// Object Detection", section 3; Kirillov et al. 2023, appendix A).
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "nn/block.h"
#include "nn/bottleneck.h"
#include "nn/position/decomposed.h"

namespace vitrail {

struct WindowBlockConfig {
  BlockConfig block;
  int64_t window = 0;                              // tokens of a window's side; 0: global
  std::optional<DecomposedPositionConfig> tables;  // of a window, or of the grid where it is global
  std::optional<BottleneckConfig> residual;
};

class WindowBlock {
 public:
  // Parameters: those of Block; attn.{rel_pos_h, rel_pos_w}; residual.*.
  WindowBlock(const Scope& scope, const WindowBlockConfig& config);
  // [B, height * width, D] to the same. `windows`: of this grid, which a block reads that has some.
  // A grid that is no whole number of windows is padded with zeros behind the norm, below and on
  // the right.
  Variable forward(const Context& context, Variable x, const TokenLayout& layout,
                   const AttentionWindows& windows) const;
  void count(CostCounter& counter, const TokenLayout& layout,
             const AttentionWindows& windows) const;
  void visit_linears(const VisitLinear& visit) { block_.visit_linears(visit); }

  bool global() const { return config_.window == 0; }
  const std::string& path() const { return block_.path(); }
  const Attention& attention() const { return block_.attention(); }

 private:
  WindowBlockConfig config_;
  Block block_;
  std::unique_ptr<DecomposedPositions> tables_;
  std::optional<Bottleneck> residual_;
};

}  // namespace vitrail
