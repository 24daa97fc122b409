// Products of tall and narrow matrices (batched_gemm.h), read and written where heads lie; what is
// left is of the size d x d, or passes over q and k once.
#include "kernels/channel_attention.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "kernels/batched_gemm.h"
#include "kernels/softmax.h"

namespace vitrail::kernels {
namespace {

// A head's values as a matrix [N, d], or of its transpose.
View head_matrices(const ChannelShape& s, const HeadView& x, bool transposed) {
  View view{.data = x.data, .shape = {s.batch, s.heads, s.tokens, s.head_dim}};
  view.strides = {x.stride[0], x.stride[1], x.stride[2], 1};
  if (!transposed) return view;
  std::swap(view.shape[2], view.shape[3]);
  std::swap(view.strides[2], view.strides[3]);
  return view;
}

View square_matrices(const ChannelShape& s, const float* x, bool transposed) {
  const int64_t d = s.head_dim;
  View view{.data = const_cast<float*>(x), .shape = {s.batch, s.heads, d, d}};
  view.strides = {s.heads * d * d, d * d, transposed ? 1 : d, transposed ? d : 1};
  return view;
}

template <typename Body>  // body(head of the batch, b, h)
void for_each_head(Queue& queue, const ChannelShape& s, const Body& body) {
  queue.pool().parallel_for(s.batch * s.heads,
                            [&](int64_t head, int) { body(head, head / s.heads, head % s.heads); });
}

// Lengths of each channel over the tokens, rows of memory added up one after the other.
void channel_lengths(const ChannelShape& s, const float* x, int64_t stride, float epsilon,
                     float* lengths) {
  std::fill_n(lengths, s.head_dim, 0.0f);
  for (int64_t n = 0; n < s.tokens; ++n, x += stride)
    for (int64_t i = 0; i < s.head_dim; ++i) lengths[i] += x[i] * x[i];
  for (int64_t i = 0; i < s.head_dim; ++i) lengths[i] = std::max(std::sqrt(lengths[i]), epsilon);
}

const float* head_of(const HeadView& view, int64_t b, int64_t h) {
  return view.data + b * view.stride[0] + h * view.stride[1];
}

// dx_i -= x_i along[i]: what a unit vector's length does not let through.
void take_along(const ChannelShape& s, const HeadView& x, const HeadView& dx, int64_t b, int64_t h,
                const float* along) {
  const float* from = head_of(x, b, h);
  float* to = dx.data + b * dx.stride[0] + h * dx.stride[1];
  for (int64_t n = 0; n < s.tokens; ++n, from += x.stride[2], to += dx.stride[2])
    for (int64_t i = 0; i < s.head_dim; ++i) to[i] -= from[i] * along[i];
}

}  // namespace

void channel_weights(Queue& queue, const ChannelWeightsArgs& args) {
  const ChannelShape& s = args.shape;
  const int64_t d = s.head_dim;
  batched_gemm(queue, {.a = head_matrices(s, args.q, true),
                       .b = head_matrices(s, args.k, false),
                       .out = square_matrices(s, args.cosines, false)});
  for_each_head(queue, s, [&](int64_t head, int64_t b, int64_t h) {
    float* q_length = args.q_length + head * d;
    float* k_length = args.k_length + head * d;
    channel_lengths(s, head_of(args.q, b, h), args.q.stride[2], args.epsilon, q_length);
    channel_lengths(s, head_of(args.k, b, h), args.k.stride[2], args.epsilon, k_length);
    float* cosines = args.cosines + head * d * d;
    float* weights = args.weights + head * d * d;
    for (int64_t i = 0; i < d; ++i)
      for (int64_t j = 0; j < d; ++j) {
        cosines[i * d + j] /= q_length[i] * k_length[j];
        weights[i * d + j] = cosines[i * d + j] * args.temperature[h];
      }
  });
  softmax(queue, {.rows = s.rows(), .classes = d, .x = args.weights, .y = args.weights});
}

void channel_weights_backward(Queue& queue, const ChannelWeightsArgs& args,
                              const ChannelWeightsBackward& grad) {
  const ChannelShape& s = args.shape;
  const int64_t d = s.head_dim;
  float* scores = grad.d_scores;
  softmax_backward(
      queue,
      {.rows = s.rows(), .classes = d, .y = args.weights, .dy = grad.d_weights, .dx = scores});
  std::vector<float> temperature(static_cast<size_t>(s.batch * s.heads));
  std::vector<float> along_q(static_cast<size_t>(s.rows())), along_k(along_q.size());
  // With G = dA / (|q_i| |k_j|): dq_i = sum_j G_ij k_j - q_i sum_j dA_ij A_ij / |q_i|^2, and so k.
  for_each_head(queue, s, [&](int64_t head, int64_t, int64_t h) {
    const float* cosines = args.cosines + head * d * d;
    const float* q_length = args.q_length + head * d;
    const float* k_length = args.k_length + head * d;
    float* g = scores + head * d * d;
    float* to_q = along_q.data() + head * d;
    float* to_k = along_k.data() + head * d;
    for (int64_t i = 0; i < d; ++i)
      for (int64_t j = 0; j < d; ++j) {
        const float by_cosine = g[i * d + j] * cosines[i * d + j];
        temperature[static_cast<size_t>(head)] += by_cosine;
        to_q[i] += args.temperature[h] * by_cosine;
        to_k[j] += args.temperature[h] * by_cosine;
        g[i * d + j] *= args.temperature[h] / (q_length[i] * k_length[j]);
      }
    // A channel shorter than epsilon is divided by that, a constant.
    const auto finish = [&](float* along, const float* length) {
      for (int64_t i = 0; i < d; ++i)
        along[i] = length[i] <= args.epsilon ? 0.0f : along[i] / (length[i] * length[i]);
    };
    finish(to_q, q_length);
    finish(to_k, k_length);
  });
  if (grad.d_temperature != nullptr)
    for (int64_t head = 0; head < s.batch * s.heads; ++head)
      grad.d_temperature[head % s.heads] += temperature[static_cast<size_t>(head)];
  batched_gemm(queue, {.a = head_matrices(s, args.k, false),
                       .b = square_matrices(s, scores, true),
                       .out = head_matrices(s, grad.dq, false)});
  batched_gemm(queue, {.a = head_matrices(s, args.q, false),
                       .b = square_matrices(s, scores, false),
                       .out = head_matrices(s, grad.dk, false)});
  for_each_head(queue, s, [&](int64_t head, int64_t b, int64_t h) {
    take_along(s, args.q, grad.dq, b, h, along_q.data() + head * d);
    take_along(s, args.k, grad.dk, b, h, along_k.data() + head * d);
  });
}

void channel_mix(Queue& queue, const ChannelShape& s, const float* weights, bool transposed,
                 const HeadView& v, const HeadView& o) {
  batched_gemm(queue, {.a = head_matrices(s, v, false),
                       .b = square_matrices(s, weights, !transposed),
                       .out = head_matrices(s, o, false)});
}

void channel_products(Queue& queue, const ChannelShape& s, const HeadView& d_o, const HeadView& v,
                      float* d_weights) {
  batched_gemm(queue, {.a = head_matrices(s, d_o, true),
                       .b = head_matrices(s, v, false),
                       .out = square_matrices(s, d_weights, false)});
}

}  // namespace vitrail::kernels
