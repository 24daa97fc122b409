// A Transformer encoder block: attention and MLP, each with its residual connection. It knows
// nothing of pictures, so a text tower is made of the same blocks.
#pragma once

#include <optional>
#include <string>
#include <vector>

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
  double dropout = 0;  // of both branches' outputs; a parallel block has none
  double drop_path = 0;
  // So many attentions of one input, then so many MLPs (Touvron et al. 2022, "Three things everyone
  // should know about Vision Transformers", section 3); more than one go with NormPlacement::pre.
  int64_t branches = 1;
  bool operator==(const BlockConfig&) const = default;
};

// Parameters: norm1, attn, ls1.gamma, norm2, mlp, ls2.gamma; a parallel block has no norm2 and ls2.
// Of several branches attns.j.{norm, attn, ls.gamma} and ffns.j.{norm, mlp, ls.gamma}.
class Block {
 public:
  Block(const Scope& scope, const BlockConfig& config);
  // [B, N, D] to [B, N, D]. A caller that does not need x any more moves it in. `terms`: what this
  // pass adds to attention (nn/attention.h); null: nothing.
  Variable forward(const Context& context, Variable x,
                   const AttentionOptions* terms = nullptr) const;
  const std::string& path() const { return path_; }
  // The first one, where there are several branches.
  const Attention& attention() const { return attentions_.front().layer; }
  const Mlp& mlp() const { return mlps_.front().layer; }
  // One, or that of each branch.
  std::vector<const Attention*> attentions() const;
  // Its attention and its MLP, over so many tokens; with windows over so many pairs of them.
  void count(CostCounter& counter, int64_t tokens) const {
    count(counter, tokens, tokens * tokens);
  }
  void count(CostCounter& counter, int64_t tokens, int64_t pairs) const;
  void visit_linears(const VisitLinear& visit);

 private:
  struct AttentionBranch {
    Attention layer;
    std::string path;  // keys its random numbers
    Parameter* scale = nullptr;
    std::optional<LayerNorm> norm = {};
  };
  struct MlpBranch {
    Mlp layer;
    std::string path;
    Parameter* scale = nullptr;
    std::optional<LayerNorm> norm = {};
  };

  bool parallel() const { return config_.norms == NormPlacement::parallel; }
  void add_scales(const Scope& scope);
  void add_norms(const Scope& scope);
  Scope place(const Scope& scope, const char* list, size_t index) const;
  LinearEpilogue epilogue(const std::string& path, const Parameter* scale,
                          const Variable* residual) const;
  Variable attend(const Context& context, const AttentionBranch& branch, const LinearInput& input,
                  const Variable* residual, const AttentionOptions* terms) const;
  // `overwrite`: nobody else reads the residual, so without a tape the answer takes its place.
  Variable transform(const Context& context, const MlpBranch& branch, const LinearInput& input,
                     const Variable* residual, bool overwrite) const;
  Variable in_sequence(const Context& context, Variable x, const AttentionOptions* terms) const;

  BlockConfig config_;
  std::string path_;
  std::vector<AttentionBranch> attentions_;
  std::vector<MlpBranch> mlps_;
  std::optional<LayerNorm> pre_norm_;
};

}  // namespace vitrail
