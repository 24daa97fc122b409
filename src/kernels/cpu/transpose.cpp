#include "kernels/cpu/transpose.h"

#include <algorithm>

#include "hwy/highway.h"

// Vectors of 128 bits are in the floor of every target, so this file needs no dispatch.
HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr int64_t kSide = 4;    // of what registers transpose
constexpr int64_t kBlock = 16;  // a cache line of floats: lines are finished while they are in L1

HWY_INLINE void TransposeSquare(const float* in, int64_t in_stride, float* out,
                                int64_t out_stride) {
  const hn::Full128<float> d;
  const auto a = hn::LoadU(d, in), b = hn::LoadU(d, in + in_stride);
  const auto c = hn::LoadU(d, in + 2 * in_stride), e = hn::LoadU(d, in + 3 * in_stride);
  const auto ac_low = hn::InterleaveLower(d, a, c), ac_high = hn::InterleaveUpper(d, a, c);
  const auto be_low = hn::InterleaveLower(d, b, e), be_high = hn::InterleaveUpper(d, b, e);
  hn::StoreU(hn::InterleaveLower(d, ac_low, be_low), d, out);
  hn::StoreU(hn::InterleaveUpper(d, ac_low, be_low), d, out + out_stride);
  hn::StoreU(hn::InterleaveLower(d, ac_high, be_high), d, out + 2 * out_stride);
  hn::StoreU(hn::InterleaveUpper(d, ac_high, be_high), d, out + 3 * out_stride);
}

void TransposeBlock(const float* in, int64_t in_stride, int64_t rows, int64_t columns, float* out,
                    int64_t out_stride) {
  int64_t c = 0;
  for (; c + kSide <= columns; c += kSide) {
    int64_t r = 0;
    for (; r + kSide <= rows; r += kSide)
      TransposeSquare(in + r * in_stride + c, in_stride, out + c * out_stride + r, out_stride);
    for (int64_t j = c; j < c + kSide; ++j)
      for (int64_t i = r; i < rows; ++i) out[j * out_stride + i] = in[i * in_stride + j];
  }
  for (; c < columns; ++c)
    for (int64_t r = 0; r < rows; ++r) out[c * out_stride + r] = in[r * in_stride + c];
}

}  // namespace HWY_NAMESPACE

void transpose(const float* in, int64_t in_stride, int64_t rows, int64_t columns, float* out,
               int64_t out_stride) {
  using HWY_NAMESPACE::kBlock;
  for (int64_t r = 0; r < rows; r += kBlock)
    for (int64_t c = 0; c < columns; c += kBlock)
      HWY_NAMESPACE::TransposeBlock(in + r * in_stride + c, in_stride, std::min(kBlock, rows - r),
                                    std::min(kBlock, columns - c), out + c * out_stride + r,
                                    out_stride);
}

}  // namespace vitrail::kernels
HWY_AFTER_NAMESPACE();
