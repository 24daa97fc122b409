#include "kernels/reference/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace vitrail::kernels::reference {
namespace {

bool visible(const AttentionInput& in, int64_t b, int64_t i, int64_t j) {
  if (!in.key_lengths.empty() && j >= in.key_lengths[b]) return false;
  return !in.causal || j <= i + in.keys - in.queries;
}

double dot(const double* a, const double* b, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

// x[i * step], i < count, rounded to 127 steps of the largest; in f32, as ties are decided there.
void quantize(double* x, int64_t count, int64_t step) {
  float largest = 0;
  for (int64_t i = 0; i < count; ++i)
    largest = std::max(largest, std::abs(static_cast<float>(x[i * step])));
  const float inverse = largest > 0 ? 127.0f / largest : 0.0f;
  for (int64_t i = 0; i < count; ++i)
    x[i * step] = static_cast<double>(std::nearbyint(static_cast<float>(x[i * step]) * inverse)) *
                  static_cast<double>(largest) / 127;
}

// Takes the mean of each of `width` columns off, in f32; returns them.
std::vector<float> take_means(double* x, int64_t rows, int64_t width) {
  std::vector<float> means;
  for (int64_t c = 0; c < width; ++c) {
    float sum = 0;
    for (int64_t r = 0; r < rows; ++r) sum += static_cast<float>(x[r * width + c]);
    means.push_back(sum * (1.0f / static_cast<float>(rows)));
    for (int64_t r = 0; r < rows; ++r)
      x[r * width + c] = static_cast<float>(x[r * width + c]) - means.back();
  }
  return means;
}

}  // namespace

AttentionInput quantized_operands(AttentionInput in) {
  const int64_t d = in.head_dim;
  for (int64_t row = 0; row < in.batch * in.heads * in.queries; ++row)
    quantize(&in.q[row * d], d, 1);
  for (int64_t head = 0; head < in.batch * in.heads; ++head) {
    double* k = &in.k[head * in.keys * d];
    take_means(k, in.keys, d);
    for (int64_t j = 0; j < in.keys; ++j) quantize(k + j * d, d, 1);
    double* v = &in.v[head * in.keys * d];
    const std::vector<float> means = take_means(v, in.keys, d);
    for (int64_t c = 0; c < d; ++c) {
      quantize(v + c, in.keys, d);
      for (int64_t j = 0; j < in.keys; ++j) v[j * d + c] += static_cast<double>(means[c]);
    }
  }
  return in;
}

AttentionResult attention(const AttentionInput& in) {
  const int64_t d = in.head_dim, heads = in.batch * in.heads;
  AttentionResult out{.o = std::vector<double>(heads * in.queries * d),
                      .lse = std::vector<double>(heads * in.queries),
                      .p = std::vector<double>(heads * in.queries * in.keys)};
  for (int64_t head = 0; head < heads; ++head)
    for (int64_t i = 0; i < in.queries; ++i) {
      const int64_t row = head * in.queries + i;
      double* p = &out.p[row * in.keys];
      double total = 0, highest = -std::numeric_limits<double>::infinity();
      for (int64_t j = 0; j < in.keys; ++j) {
        p[j] = in.scale * dot(&in.q[row * d], &in.k[(head * in.keys + j) * d], d);
        if (!in.bias.empty()) p[j] += in.bias[row * in.keys + j];
        if (!visible(in, head / in.heads, i, j)) p[j] = -std::numeric_limits<double>::infinity();
        highest = std::max(highest, p[j]);
      }
      const bool seen = std::isfinite(highest);
      for (int64_t j = 0; j < in.keys; ++j) total += p[j] = seen ? std::exp(p[j] - highest) : 0.0;
      out.lse[row] = seen ? highest + std::log(total) : highest;
      for (int64_t j = 0; j < in.keys; ++j) {
        if (seen) p[j] /= total;
        const double weight = p[j] * (in.dropout.empty() ? 1.0 : in.dropout[row * in.keys + j]);
        for (int64_t c = 0; c < d; ++c)
          out.o[row * d + c] += weight * in.v[(head * in.keys + j) * d + c];
      }
    }
  return out;
}

AttentionGradients attention_backward(const AttentionInput& in, const std::vector<double>& d_o) {
  const int64_t d = in.head_dim, heads = in.batch * in.heads;
  const AttentionResult forward = attention(in);
  AttentionGradients g{.dq = std::vector<double>(in.q.size()),
                       .dk = std::vector<double>(in.k.size()),
                       .dv = std::vector<double>(in.v.size()),
                       .dbias = std::vector<double>(forward.p.size())};
  for (int64_t head = 0; head < heads; ++head)
    for (int64_t i = 0; i < in.queries; ++i) {
      const int64_t row = head * in.queries + i;
      const double delta = dot(&d_o[row * d], &forward.o[row * d], d);
      for (int64_t j = 0; j < in.keys; ++j) {
        const int64_t key = head * in.keys + j, at = row * in.keys + j;
        const double factor = in.dropout.empty() ? 1.0 : in.dropout[at];
        const double dp = factor * dot(&d_o[row * d], &in.v[key * d], d);
        const double ds = forward.p[at] * (dp - delta);
        g.dbias[at] = ds;
        for (int64_t c = 0; c < d; ++c) {
          g.dv[key * d + c] += factor * forward.p[at] * d_o[row * d + c];
          g.dq[row * d + c] += in.scale * ds * in.k[key * d + c];
          g.dk[key * d + c] += in.scale * ds * in.q[row * d + c];
        }
      }
    }
  return g;
}

}  // namespace vitrail::kernels::reference
