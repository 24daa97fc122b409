// Multi-head scaled dot-product attention (Vaswani et al. 2017, eq. 1), self or cross. It
// multiplies in the precision that the context's plan gives to PATH.sdpa, and so to PATH and what
// PATH lies in (kernels/attention.h), backward as forward. int8 becomes bf16 where a gradient is
// recorded or the scores have a bias.
#pragma once

#include <string>

#include "autograd/context.h"
#include "kernels/attention.h"

namespace vitrail {

// After the module's path: what a plan calls attention's own products, apart from the projections
// that lie below the same path. "blocks.3.attn.sdpa".
inline constexpr const char* kProductsName = ".sdpa";

struct AttentionOptions {
  int64_t heads = 1;
  double scale = 0;                // 0: 1 / sqrt(d)
  double dropout = 0;              // of attention weights, while context.dropout is on
  const Variable* bias = nullptr;  // added to scores; each of [B, H, Nq, Nk] may be 1 (broadcast)
  bool causal = false;
  const int64_t* key_lengths = nullptr;  // [B]: later keys are padding; must outlive the backward
  std::string path;                      // of the module: names the probe's record, keys dropout
};

// qkv [B, N, 3*H*d] as a fused projection leaves it: q, k, v, heads outermost within each.
// Returns [B, N, H*d]. Error: the width is not 3*H*d; a bias that does not broadcast.
Variable self_attention(const Context& context, const Variable& qkv,
                        const AttentionOptions& options);

// q [B, Nq, H*d], k and v [B, Nk, H*d]; returns [B, Nq, H*d]. Error: as above.
Variable attention(const Context& context, const Variable& q, const Variable& k, const Variable& v,
                   const AttentionOptions& options);

}  // namespace vitrail
