#include "kernels/reference/attention_mixing.h"

#include <cmath>

namespace vitrail::kernels::reference {
namespace {

// matrix x + bias.
std::vector<double> mixed(const std::vector<double>& matrix, const std::vector<double>& bias,
                          const std::vector<double>& x) {
  if (matrix.empty()) return x;
  std::vector<double> y = bias.empty() ? std::vector<double>(x.size()) : bias;
  for (size_t g = 0; g < x.size(); ++g)
    for (size_t h = 0; h < x.size(); ++h) y[g] += matrix[g * x.size() + h] * x[h];
  return y;
}

std::vector<double> normalised(const MixingInput& mixing, std::vector<double> x) {
  if (mixing.norm_weight.empty()) return x;
  const auto heads = static_cast<double>(x.size());
  double mean = 0, variance = 0;
  for (const double value : x) mean += value / heads;
  for (const double value : x) variance += (value - mean) * (value - mean) / heads;
  for (size_t h = 0; h < x.size(); ++h)
    x[h] = (x[h] - mean) / std::sqrt(variance + mixing.norm_epsilon) * mixing.norm_weight[h] +
           mixing.norm_bias[h];
  return x;
}

// All heads' values for one query and key.
std::vector<double> by_head(const AttentionInput& in, const std::vector<double>& scores, int64_t b,
                            int64_t i, int64_t j) {
  std::vector<double> x;
  for (int64_t h = 0; h < in.heads; ++h)
    x.push_back(scores[((b * in.heads + h) * in.queries + i) * in.keys + j]);
  return x;
}
void set_by_head(const AttentionInput& in, const std::vector<double>& x, int64_t b, int64_t i,
                 int64_t j, std::vector<double>* scores) {
  for (int64_t h = 0; h < in.heads; ++h)
    (*scores)[((b * in.heads + h) * in.queries + i) * in.keys + j] = x[h];
}

}  // namespace

MixedResult mixed_attention(const AttentionInput& in, const MixingInput& mixing) {
  const int64_t d = in.head_dim, heads = in.batch * in.heads;
  MixedResult out{.o = std::vector<double>(heads * in.queries * d),
                  .weights = std::vector<double>(heads * in.queries * in.keys)};
  std::vector<double>& w = out.weights;
  for (int64_t row = 0; row < heads * in.queries; ++row)
    for (int64_t j = 0; j < in.keys; ++j)
      for (int64_t c = 0; c < d; ++c)
        w[row * in.keys + j] +=
            in.scale * in.q[row * d + c] * in.k[(row / in.queries * in.keys + j) * d + c];
  const auto everywhere = [&](auto change) {
    for (int64_t b = 0; b < in.batch; ++b)
      for (int64_t i = 0; i < in.queries; ++i)
        for (int64_t j = 0; j < in.keys; ++j)
          set_by_head(in, change(by_head(in, w, b, i, j)), b, i, j, &w);
  };
  everywhere([&](const auto& x) { return mixed(mixing.before, mixing.before_bias, x); });
  for (int64_t row = 0; row < heads * in.queries; ++row) {
    double total = 0;
    for (int64_t j = 0; j < in.keys; ++j)
      total += w[row * in.keys + j] = std::exp(w[row * in.keys + j]);
    for (int64_t j = 0; j < in.keys; ++j) w[row * in.keys + j] /= total;
  }
  everywhere(
      [&](const auto& x) { return normalised(mixing, mixed(mixing.after, mixing.after_bias, x)); });
  for (int64_t row = 0; row < heads * in.queries; ++row)
    for (int64_t j = 0; j < in.keys; ++j)
      for (int64_t c = 0; c < d; ++c)
        out.o[row * d + c] += w[row * in.keys + j] * in.v[(row / in.queries * in.keys + j) * d + c];
  return out;
}

}  // namespace vitrail::kernels::reference
