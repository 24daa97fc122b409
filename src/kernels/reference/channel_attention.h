// Double-precision attention over channels (kernels/channel_attention.h), forward and backward.
#pragma once

#include <cstdint>
#include <vector>

namespace vitrail::kernels::reference {

struct ChannelInput {
  int64_t batch = 1, heads = 1, tokens = 1, head_dim = 1;
  double epsilon = 1e-12;
  std::vector<double> q, k, v;      // [B, H, N, d]
  std::vector<double> temperature;  // [H]
};
struct ChannelResult {
  std::vector<double> o;        // [B, H, N, d]
  std::vector<double> weights;  // [B, H, d, d]
};
ChannelResult channel_attention(const ChannelInput& input);

struct ChannelGradients {
  std::vector<double> dq, dk, dv, d_temperature;
};
ChannelGradients channel_attention_backward(const ChannelInput& input,
                                            const std::vector<double>& d_o);

}  // namespace vitrail::kernels::reference
