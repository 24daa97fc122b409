// Attention in 8-bit integers, behind attention() and attention_rows(): see kernels/attention.h.
#pragma once

#include "kernels/attention.h"

namespace vitrail::kernels {

int64_t attention_int8_workspace(const AttentionShape& shape);
void attention_int8(Queue& queue, const AttentionArgs& args, const AttentionForward& out,
                    void* workspace);
void attention_rows_int8(Queue& queue, const AttentionArgs& args, const AttentionRows& rows);

}  // namespace vitrail::kernels
