// Double-precision attention, every probability stored.
#pragma once

#include <cstdint>
#include <vector>

namespace vitrail::kernels::reference {

struct AttentionInput {
  int64_t batch = 1, heads = 1, queries = 1, keys = 1, head_dim = 1;
  double scale = 1;
  std::vector<double> q, k, v;  // [B, H, N, d]
  std::vector<double> bias;     // [B, H, Nq, Nk], or empty
  std::vector<double> dropout;  // factors of P, [B, H, Nq, Nk], or empty
  bool causal = false;
  std::vector<int64_t> key_lengths;  // [B], or empty
};
struct AttentionResult {
  std::vector<double> o;    // [B, H, Nq, d]
  std::vector<double> lse;  // [B, H, Nq]
  std::vector<double> p;    // [B, H, Nq, Nk], before dropout
};
AttentionResult attention(const AttentionInput& input);

// What int8 multiplies (kernels/attention.h): q, the keys less their mean, and v, each rounded to
// the steps of its scale. Its attention is the kernel's but for the rounding of P.
AttentionInput quantized_operands(AttentionInput input);

struct AttentionGradients {
  std::vector<double> dq, dk, dv, dbias;
};
AttentionGradients attention_backward(const AttentionInput& input, const std::vector<double>& d_o);

}  // namespace vitrail::kernels::reference
