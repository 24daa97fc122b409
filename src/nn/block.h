// A Transformer encoder block: attention and MLP, each with its residual connection. It knows
// nothing of pictures, so a text tower is made of the same blocks.
#pragma once

#include <optional>
#include <string>

#include "nn/attention.h"
#include "nn/mlp.h"

namespace vitrail {

struct BlockConfig {
  AttentionConfig attention;
  MlpConfig mlp;
  NormPlacement norms = NormPlacement::pre;
  NormKind norm = NormKind::layer;
  double epsilon = 1e-6;
  bool layer_scale = false;
  double layer_scale_init = 1e-5;
  double dropout = 0;  // of both branches' outputs
  double drop_path = 0;
};

class Block {
 public:
  Block(const Scope& scope, const BlockConfig& config);
  // [B, N, D] to [B, N, D]. A caller that does not need x any more moves it in. `terms`: what this
  // pass adds to attention (nn/attention.h); null: nothing.
  Variable forward(const Context& context, Variable x,
                   const AttentionOptions* terms = nullptr) const;
  const std::string& path() const { return path_; }
  const Attention& attention() const { return attn_; }
  const Mlp& mlp() const { return mlp_; }
  // Its attention and its MLP, over so many tokens; with windows over so many pairs of them.
  void count(CostCounter& counter, int64_t tokens) const {
    count(counter, tokens, tokens * tokens);
  }
  void count(CostCounter& counter, int64_t tokens, int64_t pairs) const {
    counter.add(attn_.cost(tokens, pairs));
    counter.add(mlp_.cost(tokens));
  }
  void visit_linears(const VisitLinear& visit) {
    attn_.visit_linears(visit);
    mlp_.visit_linears(visit);
  }

 private:
  Variable attend(const Context& context, const LinearInput& input, const Variable* residual,
                  const AttentionOptions* terms) const;
  // Without a tape the answer may take the place of the residual, which must be the block's own.
  Variable transform(const Context& context, const LinearInput& input,
                     const Variable* residual) const;

  BlockConfig config_;
  std::string path_, attention_path_, mlp_path_;
  std::optional<LayerNorm> pre_norm_, norm1_, norm2_;
  Attention attn_;
  Parameter* scale1_ = nullptr;
  Mlp mlp_;
  Parameter* scale2_ = nullptr;
};

}  // namespace vitrail
