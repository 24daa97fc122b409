#include "kernels/peak.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/peak.cpp"
#include "hwy/foreach_target.h"
// Highway's order: per-target headers come after foreach_target.
#include "hwy/highway.h"
#include "kernels/cpu/dispatch.h"
#include "kernels/cpu/peak_spin.h"

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// One vector, at most 64 bytes of it, as the kernels have it.
using FloatTag = hn::CappedTag<float, 16>;
using IntTag = hn::RebindToSigned<FloatTag>;
using ShortTag = hn::Repartition<int16_t, IntTag>;

template <class Vector>
HWY_INLINE void Hide(Vector& x) {
#if HWY_ARCH_X86
  asm volatile("" : "+v"(x.raw));
#elif HWY_ARCH_ARM && !HWY_HAVE_SCALABLE
  asm volatile("" : "+w"(x.raw));
#else
  (void)x;
#endif
}

struct FloatOps {
  using Sum = hn::Vec<FloatTag>;
  static HWY_INLINE Sum left() { return hn::Set(FloatTag(), 0.5f); }
  static HWY_INLINE Sum right() { return hn::Set(FloatTag(), 1.0f); }
  static HWY_INLINE Sum zero() { return hn::Zero(FloatTag()); }
  static HWY_INLINE Sum add(Sum a, Sum b) { return hn::Add(a, b); }
  static HWY_INLINE void hide(Sum& x) { Hide(x); }
  static HWY_INLINE void store(Sum x, void* out) {
    hn::StoreU(x, FloatTag(), static_cast<float*>(out));
  }
  static HWY_INLINE Sum multiply_add(Sum left, Sum right, Sum sum) {
    return hn::MulAdd(left, right, sum);
  }
};

// Pairs of 16 bits, as gemm_int8.cpp multiplies where there is no dot product of bytes.
struct ShortOps {
  using Sum = hn::Vec<IntTag>;
  using Factor = hn::Vec<ShortTag>;
  static HWY_INLINE Factor left() { return hn::Set(ShortTag(), 3); }
  static HWY_INLINE Factor right() { return hn::Set(ShortTag(), -5); }
  static HWY_INLINE Sum zero() { return hn::Zero(IntTag()); }
  static HWY_INLINE Sum add(Sum a, Sum b) { return hn::Add(a, b); }
  template <class Vector>
  static HWY_INLINE void hide(Vector& x) {
    Hide(x);
  }
  static HWY_INLINE void store(Sum x, void* out) {
    hn::StoreU(x, IntTag(), static_cast<int32_t*>(out));
  }
  static HWY_INLINE Sum multiply_add(Factor left, Factor right, Sum sum) {
    Sum other = hn::Zero(IntTag());  // untouched on x86, where one sum takes both products
    sum = hn::ReorderWidenMulAccumulate(IntTag(), left, right, sum, other);
    return HWY_ARCH_X86 ? sum : hn::Add(sum, other);
  }
};

#include "kernels/cpu/peak_loop-inl.h"

template <class Ops, class Tag>
PeakSpin SpinOf(Tag d) {
  return {spin<Ops>, int64_t{kPeakSums} * 2 * static_cast<int64_t>(hn::MaxLanes(d))};
}

// What products of this precision run on under this instruction set.
PeakSpin FindSpin(Precision precision) {
#if HWY_TARGET == HWY_AVX3
  if (precision == Precision::bf16 && dot_products().bf16) return peak_spin_avx512_bf16();
  if (precision == Precision::int8 && dot_products().int8) return peak_spin_avx512_vnni();
#elif HWY_TARGET == HWY_AVX2
  if (precision == Precision::int8 && dot_products().int8) return peak_spin_avx2_vnni();
#endif
  return precision == Precision::int8 ? SpinOf<ShortOps>(ShortTag()) : SpinOf<FloatOps>(FloatTag());
}

// Sums, so that every line is read; eight of them, so that no addition waits for another.
uint32_t ReadRange(const uint32_t* data, int64_t count) {
  const hn::RebindToUnsigned<FloatTag> d;
  constexpr int kSums = 8;
  constexpr int64_t kLanes = hn::MaxLanes(d);
  hn::Vec<decltype(d)> sum[kSums];
  HWY_UNROLL(8)
  for (int i = 0; i < kSums; ++i) sum[i] = hn::Zero(d);
  for (int64_t at = 0; at + kSums * kLanes <= count; at += kSums * kLanes) {
    HWY_UNROLL(8)
    for (int i = 0; i < kSums; ++i) sum[i] = hn::Add(sum[i], hn::Load(d, data + at + i * kLanes));
  }
  HWY_UNROLL(8)
  for (int i = 1; i < kSums; ++i) sum[0] = hn::Add(sum[0], sum[i]);
  return hn::GetLane(hn::SumOfLanes(d, sum[0]));
}

}  // namespace vitrail::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>

#include "core/error.h"

namespace vitrail::kernels {
namespace {

HWY_EXPORT(FindSpin);
HWY_EXPORT(ReadRange);

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::atomic<uint32_t> sink;  // what is computed must be wanted

// Operations a second of one round of some milliseconds: many short pieces for each thread, so that
// one that wakes late or loses its turn costs little.
double round_of(Queue& queue, const PeakSpin& spin, int64_t steps) {
  constexpr int64_t kPieces = 64;
  const int64_t pieces = kPieces * queue.pool().num_threads();
  const auto start = Clock::now();
  queue.pool().parallel_for(pieces, [&](int64_t, int) {
    alignas(64) uint32_t out[16] = {};
    spin.run(steps, out);
    sink.fetch_add(out[0], std::memory_order_relaxed);
  });
  return static_cast<double>(pieces * steps * spin.operations) / seconds_since(start);
}

}  // namespace

double peak_operations(Queue& queue, Precision precision, double seconds) {
  const PeakSpin spin = VITRAIL_DISPATCH(FindSpin)(precision);
  constexpr int64_t kSteps = 20'000;  // some 60 microseconds
  const auto start = Clock::now();
  double best = 0;
  do {
    best = std::max(best, round_of(queue, spin, kSteps));
  } while (seconds_since(start) < seconds);
  return best;
}

double read_bandwidth(Queue& queue, int64_t bytes) {
  constexpr int64_t kPiece = int64_t{1} << 20;
  constexpr int kPasses = 4;
  const int64_t pieces = std::max<int64_t>(1, bytes / kPiece);
  const Tensor buffer = Tensor::empty({pieces * kPiece}, DType::u8);
  auto* data = static_cast<uint8_t*>(buffer.raw());
  queue.pool().parallel_for(pieces, [&](int64_t i, int) {
    std::memset(data + i * kPiece, 1, kPiece);  // pages that were never written share one of zeros
  });
  double best = 0;
  for (int pass = 0; pass < kPasses; ++pass) {
    const auto start = Clock::now();
    queue.pool().parallel_for(pieces, [&](int64_t i, int) {
      const auto* piece = reinterpret_cast<const uint32_t*>(data + i * kPiece);
      sink.fetch_add(VITRAIL_DISPATCH(ReadRange)(piece, kPiece / int64_t{sizeof(uint32_t)}),
                     std::memory_order_relaxed);
    });
    best = std::max(best, static_cast<double>(pieces * kPiece) / seconds_since(start));
  }
  return best;
}

}  // namespace vitrail::kernels
#endif  // HWY_ONCE
