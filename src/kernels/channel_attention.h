// Attention over channels, the cross-covariance attention of El-Nouby et al. 2021 (XCiT, eq. 3):
// each channel of a head mixes the head's channels, by how much they agree over all tokens.
//
//   A_ij = q_i . k_j / (|q_i| |k_j|)     over the tokens, lengths of at least epsilon
//   P    = softmax over j (t A)          t: what the head has learned
//   o_i  = sum over j of P_ij v_j
//
// Memory is O(N d) and d x d for each head; f32 in every precision. Threads take heads, or parts of
// products where heads are few.
#pragma once

#include "core/queue.h"
#include "kernels/attention_operands.h"

namespace vitrail::kernels {

struct ChannelShape {
  int64_t batch = 0, heads = 0, tokens = 0, head_dim = 0;
  int64_t rows() const { return batch * heads * head_dim; }
  int64_t weights() const { return rows() * head_dim; }  // [B, H, d, d]
};

struct ChannelWeightsArgs {
  ChannelShape shape;
  HeadView q, k;                       // element (b, h, n, i)
  const float* temperature = nullptr;  // t: [H]
  float epsilon = 1e-12f;
  // Written, for the backward pass too:
  float* q_length = nullptr;  // [B, H, d]: lengths of at least epsilon
  float* k_length = nullptr;
  float* cosines = nullptr;  // A: [B, H, d, d]
  float* weights = nullptr;  // P
};
void channel_weights(Queue& queue, const ChannelWeightsArgs& args);

struct ChannelWeightsBackward {
  const float* d_weights = nullptr;  // dP
  float* d_scores = nullptr;         // scratch [B, H, d, d], may be d_weights
  float* d_temperature = nullptr;    // [H] +=; null: not wanted
  HeadView dq, dk;                   // =
};
// args: as the forward pass wrote them.
void channel_weights_backward(Queue& queue, const ChannelWeightsArgs& args,
                              const ChannelWeightsBackward& grad);

// o_i = sum over j of weights[i, j] v_j. With `transposed` weights[j, i] instead: the gradient of
// v.
void channel_mix(Queue& queue, const ChannelShape& shape, const float* weights, bool transposed,
                 const HeadView& v, const HeadView& o);
// d_weights[i, j] = sum over tokens of d_o[n, i] v[n, j]: [B, H, d, d].
void channel_products(Queue& queue, const ChannelShape& shape, const HeadView& d_o,
                      const HeadView& v, float* d_weights);

}  // namespace vitrail::kernels
