// Positions that are added to the tokens, chosen by a configuration (nn/position/added.h).
#pragma once

#include <memory>

#include "nn/position/added.h"

namespace vitrail {

struct PositionConfig {
  Position kind = Position::learned;
  int64_t embed_dim = 0;
  int64_t prefix = 0;  // tokens before the patches that have a row of their own
  int64_t grid_height = 0, grid_width = 0;  // of the stored table
  PositionResize resize = PositionResize::bicubic_antialias;
  double dropout = 0;  // of the tokens with their positions
  bool operator==(const PositionConfig&) const = default;
};

class PositionEmbedding {
 public:
  PositionEmbedding(const Scope& scope, const PositionConfig& config);
  // [1, prefix + patches, D] for a picture of this grid; undefined when there are no positions.
  // A stored table of another grid is resized by the family's rule; the prefix rows stay.
  Variable table(const Context& context, const TokenLayout& layout) const {
    return strategy_->table(context, layout);
  }
  bool present() const { return config_.kind != Position::none; }
  int64_t prefix() const { return config_.prefix; }

 private:
  PositionConfig config_;
  std::unique_ptr<PositionStrategy> strategy_;
};

}  // namespace vitrail
