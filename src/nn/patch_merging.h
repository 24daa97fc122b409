// Half the grid and wider tokens: each 2x2 cells become one token (Liu et al. 2021, "Swin
// Transformer", section 3.1).
#pragma once

#include <string>

#include "nn/cost.h"
#include "nn/linear.h"
#include "nn/norm.h"

namespace vitrail {

struct PatchMergingConfig {
  int64_t inputs = 0, outputs = 0;  // widths of a token before and after
  bool norm_first = true;  // LayerNorm of the four cells (Swin); else of what they become (Swin v2)
  double epsilon = 1e-5;
};

class PatchMerging {
 public:
  // Parameters: reduction.weight [outputs, 4 * inputs], norm.{weight, bias}.
  PatchMerging(const Scope& scope, const PatchMergingConfig& config);
  // [B, H, W, D] to [B, cells(H), cells(W), outputs]. The four cells of a token lie side by side
  // column by column; beyond an odd edge they are zeros.
  Variable forward(const Context& context, const Variable& x) const;
  static int64_t cells(int64_t size) { return (size + 1) / 2; }
  // Of a grid of so many cells.
  LayerCost cost(int64_t height, int64_t width) const;

  void visit_linears(const VisitLinear& visit) { visit(reduction_); }

 private:
  PatchMergingConfig config_;
  std::string path_;
  LayerNorm norm_;
  LinearSlot reduction_;
};

}  // namespace vitrail
