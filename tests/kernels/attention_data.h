// One case of attention with random operands, as the kernel and the reference want it.
#pragma once

#include <cmath>
#include <vector>

#include "core/dtype.h"
#include "kernels/attention.h"
#include "kernels/dropout.h"
#include "kernels/reference/attention.h"
#include "support/random.h"

namespace vitrail::kernels::operands {

using vitrail::testing::random_floats;

struct Case {
  AttentionShape shape;
  bool bias = false;
  bool causal = false;
  bool lengths = false;
  float dropout = 0;
};

inline std::vector<float> rounded(std::vector<float> x, Precision precision) {
  if (precision != Precision::bf16) return x;
  for (float& value : x) value = bf16_to_f32(f32_to_bf16(value));
  return x;
}

// Everything about one case; heads lie interleaved, [B, N, H, d], as a projection leaves them. In
// bf16 the values are such already, so that it is all one whether a kernel rounds them.
struct Data {
  explicit Data(const Case& c, Precision precision = Precision::f32)
      : s(c.shape),
        width(s.heads * s.head_dim),
        q(rounded(random_floats(s.batch * s.queries * width, 1, -2, 2), precision)),
        k(rounded(random_floats(s.batch * s.keys * width, 2, -2, 2), precision)),
        v(rounded(random_floats(s.batch * s.keys * width, 3), precision)),
        d_o(rounded(random_floats(s.batch * s.queries * width, 4), precision)),
        bias(c.bias ? random_floats(s.heads * s.queries * s.keys, 5, -3, 3)
                    : std::vector<float>()) {
    args.shape = s;
    args.precision = precision;
    args.scale = 1.0f / std::sqrt(static_cast<float>(s.head_dim));
    args.q = view(q, s.queries);
    args.k = view(k, s.keys);
    args.v = view(v, s.keys);
    if (c.bias) {  // shared by the batch
      args.bias.dense = bias.data();
      args.bias.stride = {0, s.queries * s.keys, s.keys, 1};
    }
    args.bias.causal = c.causal;
    for (int64_t b = 0; b < s.batch; ++b) lengths.push_back(b == 0 ? s.keys / 2 : s.keys);
    if (c.lengths) args.bias.key_lengths = lengths.data();
    args.dropout = {.probability = c.dropout, .seed = 11, .stream = 12};
  }

  HeadView view(std::vector<float>& x, int64_t tokens) const {
    return {.data = x.data(), .stride = {tokens * width, s.head_dim, width}};
  }

  std::vector<double> by_head(const std::vector<float>& x, int64_t tokens) const {
    std::vector<double> out;
    for (int64_t b = 0; b < s.batch; ++b)
      for (int64_t h = 0; h < s.heads; ++h)
        for (int64_t n = 0; n < tokens; ++n)
          for (int64_t i = 0; i < s.head_dim; ++i)
            out.push_back(x[(b * tokens + n) * width + h * s.head_dim + i]);
    return out;
  }

  std::vector<double> d_o_by_head() const { return by_head(d_o, s.queries); }

  reference::AttentionInput input() const {
    reference::AttentionInput in{.batch = s.batch,
                                 .heads = s.heads,
                                 .queries = s.queries,
                                 .keys = s.keys,
                                 .head_dim = s.head_dim,
                                 .scale = args.scale,
                                 .q = by_head(q, s.queries),
                                 .k = by_head(k, s.keys),
                                 .v = by_head(v, s.keys),
                                 .causal = args.bias.causal};
    for (int64_t b = 0; b < s.batch && !bias.empty(); ++b)
      in.bias.insert(in.bias.end(), bias.begin(), bias.end());
    if (args.bias.key_lengths != nullptr) in.key_lengths = lengths;
    if (args.dropout.probability > 0) {
      MaskKey mask;
      mask.key = args.dropout.seed;
      mask.stream = args.dropout.stream;
      const auto row_words = static_cast<uint64_t>((s.keys + 3) / 4 * 4);
      for (int64_t row = 0; row < s.batch * s.heads * s.queries; ++row)
        for (int64_t j = 0; j < s.keys; ++j)
          in.dropout.push_back(
              kept(mask, args.dropout.probability,
                   static_cast<uint64_t>(row) * row_words + static_cast<uint64_t>(j))
                  ? 1.0 / (1.0 - args.dropout.probability)
                  : 0.0);
    }
    return in;
  }

  AttentionShape s;
  int64_t width;
  std::vector<float> q, k, v, d_o, bias;
  std::vector<int64_t> lengths;
  AttentionArgs args;
};

}  // namespace vitrail::kernels::operands
