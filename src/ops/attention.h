// Multi-head scaled dot-product attention (Vaswani et al. 2017, eq. 1), self or cross, of all
// tokens or of windows. It multiplies in the precision that the context's plan gives to PATH.sdpa,
// and so to PATH and what PATH lies in (kernels/attention.h), backward as forward. int8 becomes
// bf16 where a gradient is recorded, a bias is added to the scores or keys are hidden.
#pragma once

#include <string>

#include "autograd/context.h"
#include "kernels/attention.h"
#include "ops/attention_terms.h"

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

  // More terms of the bias, each added where it is defined (ops/attention_terms.h).
  Variable key_bias;  // each of [B, H, Nk] may be 1
  RelativeBias relative;
  DecomposedBias decomposed;
  DistanceBias distance;
  GroupBias groups;

  // Heads that are mixed go with no term of a bias, no windows and no hidden keys. They are
  // multiplied in f32 in every precision.
  HeadMixingWeights mixing;

  // Windows are sequences: Nq and Nk above are their tokens, B is samples times windows, sample by
  // sample. Null: a sample is one sequence. Must outlive the call, not the backward.
  const AttentionWindows* windows = nullptr;
  // Of the queries, where their grid is another than the keys' (pooled queries): as many windows as
  // `windows` has, one for one. Null: the same. Must outlive the call alone, too.
  const AttentionWindows* query_windows = nullptr;
  // q, k and v of a window's padding, as a fused projection has them: [3*H*d]; undefined: zeros.
  Variable padding;

  // What becomes of q and k before they are multiplied: the norm, then the rotation.
  HeadNormalization q_norm, k_norm;
  RotaryPositions q_rotary, k_rotary;
};

// qkv [B, N, 3*H*d] as a fused projection leaves it: q, k, v, heads outermost within each.
// Returns [B, N, H*d]. Error: the width is not 3*H*d; a term that does not fit, by its name.
Variable self_attention(const Context& context, const Variable& qkv,
                        const AttentionOptions& options);

// q [B, Nq, H*d]; kv [B, Nk, 2*H*d] as a fused projection leaves them: k, then v. Returns
// [B, Nq, H*d]. Error: as above.
Variable cross_attention(const Context& context, const Variable& q, const Variable& kv,
                         const AttentionOptions& options);

// q [B, Nq, H*d], k [B, Nk, H*d], v [B, Nk, H*e]; returns [B, Nq, H*e]. Error: as above.
Variable attention(const Context& context, const Variable& q, const Variable& k, const Variable& v,
                   const AttentionOptions& options);

// Of projections that keep a head's parts together: q, k and v of the first head, then of the next
// (LeViT, TinyViT, EfficientFormer); all are read in place. qkv [B, N, H*(2 key + value)]; or
// q [B, Nq, H*key] and kv [B, Nk, H*(key + value)]. They return [B, Nq, H*value]. The padding of
// windows is laid out as a row of qkv. Error: as above.
struct HeadSizes {
  int64_t key = 0, value = 0;  // width of q and k, and of v, in a head
};
Variable self_attention_by_head(const Context& context, const Variable& qkv, const HeadSizes& sizes,
                                const AttentionOptions& options);
Variable cross_attention_by_head(const Context& context, const Variable& q, const Variable& kv,
                                 const HeadSizes& sizes, const AttentionOptions& options);

}  // namespace vitrail
