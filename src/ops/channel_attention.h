// Attention over channels (kernels/channel_attention.h; El-Nouby et al. 2021, XCiT): a head's
// channels are mixed by how much they agree over the tokens. f32 in every precision; memory is
// O(N d). It has no map over tokens, so a probe records nothing of it.
#pragma once

#include <string>

#include "autograd/context.h"

namespace vitrail {

struct ChannelAttentionOptions {
  int64_t heads = 1;
  double epsilon = 1e-12;  // a shorter channel is divided by this
  double dropout = 0;      // of the weights, while context.dropout is on
  std::string path;        // of the module: keys dropout
};

// qkv [B, N, 3*H*d] as a fused projection leaves it; temperature [H]. Returns [B, N, H*d].
// Error: the width is not 3*H*d; another number of temperatures.
Variable channel_attention(const Context& context, const Variable& qkv, const Variable& temperature,
                           const ChannelAttentionOptions& options);

}  // namespace vitrail
