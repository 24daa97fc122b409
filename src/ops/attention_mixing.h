// Attention of mixed heads as a chain of recorded operations: what a gradient or dropout is wanted
// of (ops/attention.cpp runs the kernel otherwise). All scores are in memory, as the libraries have
// them. For ops/attention.cpp.
#pragma once

#include "ops/attention.h"
#include "ops/attention_description.h"

namespace vitrail {

// Returns [B, Nq, H*d].
Variable chained_mixed_attention(const Context& context, const AttentionOperands& in,
                                 const AttentionOptions& options, float scale);

}  // namespace vitrail
