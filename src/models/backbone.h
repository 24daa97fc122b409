// Backbone: from a picture to features by stage, which heads consume. A plain Vision Transformer
// has one stage; a hierarchical one has several, each with fewer and wider tokens than the one
// before.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nn/cost.h"
#include "nn/linear.h"
#include "nn/token_layout.h"

namespace vitrail {

// The tokens of a stage, and what each of them is.
struct Feature {
  Variable tokens;  // [B, N, D]
  TokenLayout layout;
};

// A transformer block, by the name under which an observer is told its output, and the stage that
// it lies in.
struct BlockPlace {
  std::string path;
  int64_t stage = 0;
};

// An attention layer of the blocks, by the name that a probe knows (ops/attention_probe.h).
struct AttentionLayer {
  std::string path;
  int64_t stage = 0;
  int64_t heads = 0;
  // Its queries and its keys are the stage's tokens, each once; otherwise keys are fewer, or
  // others.
  bool of_its_tokens = true;
  bool beside_another = false;  // both read the same and their sum goes on
  bool differential = false;    // heads are pairs of maps, the second taken away from the first
};

// Where the queries and keys of an attention layer lie.
struct AttentionGrids {
  TokenLayout queries, keys;
};

class Backbone {
 public:
  virtual ~Backbone() = default;

  // A feature a stage. images [B, C, H, W]. Error: channels or a size that do not fit.
  virtual std::vector<Feature> forward(const Context& context, const Variable& images) const = 0;

  // Of each stage, for a picture of this size. Error: a size that does not fit.
  virtual std::vector<TokenLayout> layouts(int64_t picture_height, int64_t picture_width) const = 0;
  // Of the last one.
  TokenLayout layout(int64_t picture_height, int64_t picture_width) const {
    return layouts(picture_height, picture_width).back();
  }
  // Width of the last stage's tokens.
  virtual int64_t embed_dim() const = 0;
  // The transformer blocks, in the order in which they run.
  virtual std::vector<BlockPlace> blocks() const = 0;
  // Their attention, in the order in which it runs.
  virtual std::vector<AttentionLayer> attentions() const = 0;
  // For a picture of this size: both are the stage's tokens, where the layer says so. Error
  // (unsupported): they are not, and the backbone does not tell which others they are.
  virtual AttentionGrids attention_grids(const AttentionLayer& layer, int64_t picture_height,
                                         int64_t picture_width) const;

  virtual void visit_linears(const VisitLinear& visit) = 0;
  // Adds a row for each layer, in the order in which they run. Error: as of layout().
  virtual void count(CostCounter& counter, int64_t picture_height, int64_t picture_width) const = 0;
};

}  // namespace vitrail
