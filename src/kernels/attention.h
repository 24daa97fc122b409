// Scaled dot-product attention with online softmax, forward and backward.
//
//   S = scale * Q K^T + bias,  P = softmax over keys (S),  O = dropout(P) V      (Vaswani 2017, 1)
//
// with Q and K as their transforms leave them (attention_operands.h), and the bias a sum of terms
// (attention_bias.h).
//
// Nothing of size N x N is ever stored: keys are visited in blocks (Milakov and Gimelshein 2018;
// Dao et al. 2022), and the forward pass leaves the log-sum-exp of each row of S, from which the
// backward pass and the exact maps recompute P = exp(S - lse). A row depends on its own query and
// on the keys alone: not on its neighbours, the batch or the threads.
#pragma once

#include <cstdint>

#include "core/precision.h"
#include "core/queue.h"
#include "core/tensor.h"
#include "kernels/attention_bias.h"
#include "kernels/attention_mixing.h"
#include "kernels/attention_operands.h"

namespace vitrail::kernels {

struct AttentionShape {
  int64_t batch = 0;  // sequences: samples times windows
  int64_t heads = 0;
  int64_t queries = 0;
  int64_t keys = 0;
  int64_t head_dim = 0;       // of q and k, and of v where it has no size of its own
  int64_t own_value_dim = 0;  // of v and o; 0: head_dim
  int64_t value_dim() const { return own_value_dim > 0 ? own_value_dim : head_dim; }
};

struct AttentionDropout {
  float probability = 0;  // of dropping an element of P; 0: off
  uint64_t seed = 0;  // element (b, h, i, j) draws from Philox at a counter that its place fixes
  uint64_t stream = 0;
};

struct AttentionArgs {
  AttentionShape shape;
  HeadView q, k, v;
  AttentionTokens tokens;  // of q and o; of k and v
  HeadTransform q_transform, k_transform;
  float scale = 1;
  AttentionBias bias;
  // Heads that are mixed take neither bias nor windows nor dropout, are multiplied in f32 in every
  // precision, write no lse and have no backward pass of their own (ops/attention_mixing.h). The
  // scores of a block of queries are in memory at once, of all heads and keys.
  HeadMixing mixing;
  AttentionDropout dropout;
  // bf16, where it goes through dot products: what is multiplied is rounded to bf16 - q, k, v and
  // P, in the backward also dO and dS - and summed in f32. Scores, exponentials, their sums and lse
  // are f32. Elsewhere bf16 is f32.
  // int8: what is multiplied is quantized to 8 bits, symmetric: each query, each key less the mean
  // of the head's keys, each channel of v less its mean, with a scale of their own; P = exp(S -
  // max) in steps of 1/255 of the largest so far. Sums are exact integers; scores, exponentials,
  // their sums (of P before it is rounded) and lse are f32. The mean of the keys moves a row of S
  // by a constant, which P does not see and lse does: it is the log-sum-exp of what is left.
  Precision precision = Precision::f32;
};

// int8 is for the forward pass without bias, mixed heads, dropout, a scale below zero and values of
// another size: whatever has one of them runs in bf16 instead, and so does the backward pass, which
// wants that pass's lse.
inline bool attends_in_int8(const AttentionArgs& args) {
  return args.precision == Precision::int8 && !args.bias.present() && !args.mixing.present() &&
         args.dropout.probability == 0 && args.scale > 0 &&
         args.shape.value_dim() == args.shape.head_dim;
}

// The same attention for one sample of the batch alone, all its windows: what reads rows of a map
// sample by sample asks for it.
AttentionArgs attention_of_sample(const AttentionArgs& args, int64_t sample);

// Writes o, and lse [B, H, Nq] unless null or heads are mixed. A query that sees no key gets zeros
// and lse -inf.
struct AttentionForward {
  HeadView o;
  float* lse = nullptr;
};
int64_t attention_workspace(const AttentionShape& shape);
void attention(Queue& queue, const AttentionArgs& args, const AttentionForward& out,
               void* workspace);

// Gradients: dq, dk, dv are `=`, in every row that is a token; of what is learned `+=`. What many
// sequences share is summed in chunks of the batch that the shape alone fixes, and the chunks in
// order, so few heads keep many threads busy and their number changes no bit.
struct AttentionBackward {
  HeadView o, d_o;
  const float* lse = nullptr;
  HeadView dq, dk, dv;
  AttentionBiasGradient bias;
  HeadTransformGradient q_transform, k_transform;
};
int64_t attention_backward_workspace(Queue& queue, const AttentionShape& shape);
void attention_backward(Queue& queue, const AttentionArgs& args, const AttentionBackward& grad,
                        void* workspace);

// Exact rows of P (before dropout) for chosen queries: rows [B, H, count, Nk] =
// exp(scale * q k^T + bias - lse), with q and k as the forward pass rounded them. O(Nk * d) a row.
// Of mixed heads: the rows of W, what the values are multiplied by; no lse is read.
struct AttentionRows {
  const int64_t* queries = nullptr;  // [count], each in [0, Nq)
  int64_t count = 0;
  const float* lse = nullptr;  // of the forward pass
  float* rows = nullptr;
};
void attention_rows(Queue& queue, const AttentionArgs& args, const AttentionRows& rows);

// q and k as they are multiplied, behind their transforms and rounded to bf16 where the precision
// has it: [B, H, N, d].
void attention_queries(Queue& queue, const AttentionArgs& args, float* out);
void attention_keys(Queue& queue, const AttentionArgs& args, float* out);

// Gradient of a loss with respect to those rows of P: dP = dO v^T, [B, H, count, Nk].
void attention_row_gradients(Queue& queue, const AttentionArgs& args, const HeadView& d_o,
                             const AttentionRows& rows);

}  // namespace vitrail::kernels
