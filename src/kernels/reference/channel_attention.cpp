#include "kernels/reference/channel_attention.h"

#include <algorithm>
#include <cmath>

namespace vitrail::kernels::reference {
namespace {

// Each channel of a head over its tokens, divided by its length.
std::vector<double> unit_channels(const ChannelInput& in, const std::vector<double>& x,
                                  std::vector<double>* lengths) {
  std::vector<double> unit(x.size());
  lengths->assign(in.batch * in.heads * in.head_dim, 0);
  for (int64_t head = 0; head < in.batch * in.heads; ++head)
    for (int64_t i = 0; i < in.head_dim; ++i) {
      double squares = 0;
      const auto at = [&](int64_t n) { return (head * in.tokens + n) * in.head_dim + i; };
      for (int64_t n = 0; n < in.tokens; ++n) squares += x[at(n)] * x[at(n)];
      double& length = (*lengths)[head * in.head_dim + i];
      length = std::max(std::sqrt(squares), in.epsilon);
      for (int64_t n = 0; n < in.tokens; ++n) unit[at(n)] = x[at(n)] / length;
    }
  return unit;
}

// out[head, i, j] = sum over tokens of a_i b_j.
std::vector<double> products(const ChannelInput& in, const std::vector<double>& a,
                             const std::vector<double>& b) {
  const int64_t d = in.head_dim;
  std::vector<double> out(in.batch * in.heads * d * d);
  for (int64_t row = 0; row < in.batch * in.heads * in.tokens; ++row)
    for (int64_t i = 0; i < d; ++i)
      for (int64_t j = 0; j < d; ++j)
        out[(row / in.tokens * d + i) * d + j] += a[row * d + i] * b[row * d + j];
  return out;
}

// out_i = sum over j of w[i, j] x_j, or of w[j, i].
std::vector<double> mixed(const ChannelInput& in, const std::vector<double>& w, bool transposed,
                          const std::vector<double>& x) {
  const int64_t d = in.head_dim;
  std::vector<double> out(x.size());
  for (int64_t row = 0; row < in.batch * in.heads * in.tokens; ++row)
    for (int64_t i = 0; i < d; ++i)
      for (int64_t j = 0; j < d; ++j)
        out[row * d + i] +=
            w[row / in.tokens * d * d + (transposed ? j * d + i : i * d + j)] * x[row * d + j];
  return out;
}

// d of x / max(|x|, epsilon) by channel.
std::vector<double> through_length(const ChannelInput& in, const std::vector<double>& unit,
                                   const std::vector<double>& lengths,
                                   const std::vector<double>& d_unit) {
  std::vector<double> dx(unit.size());
  for (int64_t head = 0; head < in.batch * in.heads; ++head)
    for (int64_t i = 0; i < in.head_dim; ++i) {
      const auto at = [&](int64_t n) { return (head * in.tokens + n) * in.head_dim + i; };
      const double length = lengths[head * in.head_dim + i];
      double along = 0;
      for (int64_t n = 0; n < in.tokens; ++n) along += unit[at(n)] * d_unit[at(n)];
      if (length <= in.epsilon) along = 0;
      for (int64_t n = 0; n < in.tokens; ++n)
        dx[at(n)] = (d_unit[at(n)] - unit[at(n)] * along) / length;
    }
  return dx;
}

}  // namespace

ChannelResult channel_attention(const ChannelInput& in) {
  const int64_t d = in.head_dim;
  std::vector<double> lengths;
  ChannelResult out;
  out.weights = products(in, unit_channels(in, in.q, &lengths), unit_channels(in, in.k, &lengths));
  for (int64_t row = 0; row < in.batch * in.heads * d; ++row) {
    double total = 0;
    for (int64_t j = 0; j < d; ++j)
      total += out.weights[row * d + j] =
          std::exp(in.temperature[row / d % in.heads] * out.weights[row * d + j]);
    for (int64_t j = 0; j < d; ++j) out.weights[row * d + j] /= total;
  }
  out.o = mixed(in, out.weights, false, in.v);
  return out;
}

ChannelGradients channel_attention_backward(const ChannelInput& in,
                                            const std::vector<double>& d_o) {
  const int64_t d = in.head_dim;
  std::vector<double> q_lengths, k_lengths;
  const std::vector<double> q = unit_channels(in, in.q, &q_lengths);
  const std::vector<double> k = unit_channels(in, in.k, &k_lengths);
  const std::vector<double> cosines = products(in, q, k);
  const std::vector<double> weights = channel_attention(in).weights;
  std::vector<double> d_cosines = products(in, d_o, in.v);  // of the weights, at first
  ChannelGradients grad{.d_temperature = std::vector<double>(in.heads)};
  for (int64_t row = 0; row < in.batch * in.heads * d; ++row) {
    const int64_t h = row / d % in.heads;
    double mean = 0;
    for (int64_t j = 0; j < d; ++j) mean += d_cosines[row * d + j] * weights[row * d + j];
    for (int64_t j = 0; j < d; ++j) {
      const double ds = weights[row * d + j] * (d_cosines[row * d + j] - mean);
      grad.d_temperature[h] += ds * cosines[row * d + j];
      d_cosines[row * d + j] = ds * in.temperature[h];
    }
  }
  grad.dq = through_length(in, q, q_lengths, mixed(in, d_cosines, false, k));
  grad.dk = through_length(in, k, k_lengths, mixed(in, d_cosines, true, q));
  grad.dv = mixed(in, weights, true, d_o);
  return grad;
}

}  // namespace vitrail::kernels::reference
