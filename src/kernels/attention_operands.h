// What attention reads and writes: heads by strides, tokens by an index where a window of a grid is
// one sequence, and what becomes of q and k on their way in.
#pragma once

#include <array>
#include <cstdint>

namespace vitrail::kernels {

// Element (b, h, n, i) is data[b*stride[0] + h*stride[1] + n*stride[2] + i]: heads are read where
// a fused projection left them, [B, N, 3, H, d] included.
struct HeadView {
  float* data = nullptr;
  std::array<int64_t, 3> stride{};  // sample, head, row of memory
  // What stands for a token without a row (AttentionTokens), element (h, i) at h*stride[1] + i.
  // Of an operand: its values; null: zeros. Of a gradient: `+=` what such tokens get; null:
  // dropped.
  float* padding = nullptr;
};

// Which rows of memory are the tokens of one attention. A sample may hold several windows, each a
// sequence of its own: index b of the batch is window b % windows of sample b / windows, and its
// token n is row rows[(b % windows) * N + n] of that sample, or none (-1): padding. So windows are
// read, and their outputs written, in place. A row is the token of at most one window.
struct AttentionTokens {
  int64_t windows = 1;
  const int32_t* query_rows = nullptr;  // [windows, Nq]; null: token n is row n
  const int32_t* key_rows = nullptr;    // [windows, Nk]
};

// A norm over the d values of a head:
//   layer: (x - mean) / sqrt(variance + epsilon)      (Ba et al. 2016)
//   rms:   x / sqrt(mean(x^2) + epsilon)              (Zhang and Sennrich 2019)
//   l2:    x / max(|x|, epsilon)                      (Liu et al. 2022, Swin v2: cosine attention)
// then gain[h] * (weight * x + bias), each 1 or 0 where it is null.
enum class HeadNormKind : uint8_t { none, layer, rms, l2 };
struct HeadNorm {
  HeadNormKind kind = HeadNormKind::none;
  float epsilon = 1e-6f;
  const float* weight = nullptr;  // [d]
  const float* bias = nullptr;    // [d]
  const float* gain = nullptr;    // [H]: the scale that a head has learned
};

// Rotary positions (Su et al. 2021): pairs of a head's values turn by the angle of their token.
//   (a, b) -> (a cos - b sin, b cos + a sin)
// Pairs are (2i, 2i+1) where interleaved, else (i, i + d/2). The first `prefix` tokens stay.
struct Rotary {
  const float* cosine = nullptr;  // [H or 1, N - prefix, d/2]; null: no rotation
  const float* sine = nullptr;
  int64_t head_stride = 0;  // 0: the same for all heads
  int64_t prefix = 0;
  bool interleaved = false;
};

// From memory to what is multiplied: the norm, then the rotation.
struct HeadTransform {
  HeadNorm norm;
  Rotary rotary;
  bool present() const {
    return norm.kind != HeadNormKind::none || norm.gain != nullptr || rotary.cosine != nullptr;
  }
};

// Gradients of what a transform has learned, all `+=`; null: not wanted.
struct HeadTransformGradient {
  float* weight = nullptr;  // [d]
  float* bias = nullptr;    // [d]
  float* gain = nullptr;    // [H]
  float* angles = nullptr;  // as the table of cosines
  bool wanted() const {
    return weight != nullptr || bias != nullptr || gain != nullptr || angles != nullptr;
  }
};

}  // namespace vitrail::kernels
