// Attention of mixed heads, behind attention() and attention_rows(): see
// kernels/attention_mixing.h.
#pragma once

#include "kernels/attention.h"

namespace vitrail::kernels {

void mixed_attention(Queue& queue, const AttentionArgs& args, const HeadView& o);
void mixed_attention_rows(Queue& queue, const AttentionArgs& args, const AttentionRows& rows);

}  // namespace vitrail::kernels
