#include "kernels/peak.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/peak.cpp"
#include "hwy/foreach_target.h"
// Highway's order: per-target headers come after foreach_target.
#include "hwy/highway.h"
#include "kernels/cpu/dispatch.h"
#include "kernels/cpu/dot-inl.h"

namespace vitrail::kernels {
#ifndef VITRAIL_PEAK_SPIN
#define VITRAIL_PEAK_SPIN
// A loop of multiply-adds.
struct Spin {
  void (*run)(int64_t steps, uint32_t* out);  // out: a vector of what was computed
  int64_t operations;                         // of a step; a multiply-add counts as two
};
#endif
}  // namespace vitrail::kernels

HWY_BEFORE_NAMESPACE();
namespace vitrail::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// One vector, at most 64 bytes of it, as the kernels have it.
using FloatTag = hn::CappedTag<float, 16>;
using IntTag = hn::RebindToSigned<FloatTag>;
using ShortTag = hn::Repartition<int16_t, IntTag>;

// Says that x is in a register and may have changed: the compiler would else take the products out
// of the loop, or the sums out of their registers.
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

struct FloatProducts {
  using Factor = FloatTag;
  using Sum = FloatTag;
  static constexpr int64_t kPerLane = 1;  // multiply-adds of a lane of the sum
  static constexpr float kFactor = 0.5f;
  static HWY_INLINE hn::Vec<Sum> add(hn::Vec<Factor> a, hn::Vec<Factor> b, hn::Vec<Sum> sum) {
    return hn::MulAdd(a, b, sum);
  }
};

// Pairs of 16 bits, as gemm_int8.cpp multiplies where there is no dot product of bytes.
struct ShortProducts {
  using Factor = ShortTag;
  using Sum = IntTag;
  static constexpr int64_t kPerLane = 2;
  static constexpr int16_t kFactor = 3;
  static HWY_INLINE hn::Vec<Sum> add(hn::Vec<Factor> a, hn::Vec<Factor> b, hn::Vec<Sum> sum) {
    hn::Vec<Sum> other = hn::Zero(IntTag());  // untouched on x86, where one sum takes both products
    sum = hn::ReorderWidenMulAccumulate(IntTag(), a, b, sum, other);
    return HWY_ARCH_X86 ? sum : hn::Add(sum, other);
  }
};

#if VITRAIL_HAS_INT8_DOT
template <class Dot>
struct ByteProducts {
  using Factor = IntTag;  // of four bytes
  using Sum = IntTag;
  static constexpr int64_t kPerLane = 4;
  static constexpr int32_t kFactor = 0x03030303;
  static HWY_INLINE hn::Vec<Sum> add(hn::Vec<Factor> a, hn::Vec<Factor> b, hn::Vec<Sum> sum) {
    return Dot::Add(sum, a, b);
  }
};
#endif

#if VITRAIL_HAS_BF16_DOT
struct Bf16Products {
  using Factor = ShortTag;
  using Sum = FloatTag;
  static constexpr int64_t kPerLane = 2;
  static constexpr int16_t kFactor = 0x3f00;  // 0.5
  static HWY_INLINE hn::Vec<Sum> add(hn::Vec<Factor> a, hn::Vec<Factor> b, hn::Vec<Sum> sum) {
    return DotBf16(sum, a, b);
  }
};
#endif

// Enough sums to hide a latency of 6 at two instructions a cycle, few enough for 16 registers.
constexpr int kSums = 12;

template <class Products>
void Run(int64_t steps, uint32_t* out) {
  const typename Products::Sum d;
  const typename Products::Factor df;
  hn::Vec<decltype(d)> sum[kSums];
  auto left = hn::Set(df, Products::kFactor);
  const auto right = left;
  HWY_UNROLL(12)
  for (int i = 0; i < kSums; ++i) sum[i] = hn::Zero(d);
  for (int64_t step = 0; step < steps; ++step) {
    HWY_UNROLL(12)
    for (int i = 0; i < kSums; ++i) {
      Hide(left);
      sum[i] = Products::add(left, right, sum[i]);
      Hide(sum[i]);
    }
  }
  HWY_UNROLL(12)
  for (int i = 1; i < kSums; ++i) sum[0] = hn::Add(sum[0], sum[i]);
  const hn::RebindToUnsigned<decltype(d)> bits;
  hn::StoreU(hn::BitCast(bits, sum[0]), bits, out);
}

template <class Products>
Spin SpinOf() {
  const auto lanes = static_cast<int64_t>(hn::MaxLanes(typename Products::Sum()));
  return {Run<Products>, 2 * kSums * lanes * Products::kPerLane};
}

// What products of this precision run on under this instruction set.
Spin FindSpin(Precision precision) {
#if VITRAIL_HAS_BF16_DOT
  if (precision == Precision::bf16 && dot_products().bf16) return SpinOf<Bf16Products>();
#endif
#if VITRAIL_HAS_INT8_DOT
  if (precision == Precision::int8 && dot_products().mixed_int8)
    return SpinOf<ByteProducts<MixedDot>>();
#endif
#if VITRAIL_HAS_SIGNED_DOT
  if (precision == Precision::int8 && dot_products().int8) return SpinOf<ByteProducts<SignedDot>>();
#endif
  return precision == Precision::int8 ? SpinOf<ShortProducts>() : SpinOf<FloatProducts>();
}

// Sums, so that every line is read; eight of them, so that no addition waits for another.
uint32_t ReadRange(const uint32_t* data, int64_t count) {
  const hn::RebindToUnsigned<FloatTag> d;
  constexpr int kStreams = 8;
  constexpr int64_t kLanes = hn::MaxLanes(d);
  hn::Vec<decltype(d)> sum[kStreams];
  HWY_UNROLL(8)
  for (int i = 0; i < kStreams; ++i) sum[i] = hn::Zero(d);
  for (int64_t at = 0; at + kStreams * kLanes <= count; at += kStreams * kLanes) {
    HWY_UNROLL(8)
    for (int i = 0; i < kStreams; ++i)
      sum[i] = hn::Xor(sum[i], hn::Load(d, data + at + i * kLanes));
  }
  HWY_UNROLL(8)
  for (int i = 1; i < kStreams; ++i) sum[0] = hn::Xor(sum[0], sum[i]);
  return hn::GetLane(sum[0]);
}

}  // namespace vitrail::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>

#include "core/bf16_speed.h"
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
double round_of(Queue& queue, const Spin& spin, int64_t steps) {
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

const char* arithmetic_of(Precision precision) {
  const DotProducts dots = dot_products();
  switch (precision) {
    case Precision::f32:
      return "f32 multiply-adds";
    case Precision::bf16:
      return dots.bf16 ? "bf16 dot products" : "bf16 widened to f32";
    case Precision::int8:
      return dots.int8 ? "int8 dot products" : "int8 widened to 16 bits";
  }
  return "?";
}

double relative_speed(Precision precision) {
  const DotProducts dots = dot_products();
  switch (precision) {
    case Precision::f32:
      return 1;
    case Precision::bf16:
      return dots.bf16 ? bf16_dot_speed() : 1;
    case Precision::int8:
      // Four bytes to a lane; two where there are pairs of 16 bits, or two instructions.
      return dots.mixed_int8 ? 4 : dots.int8 || HWY_ARCH_X86 ? 2 : 1;
  }
  return 1;
}

double peak_operations(Queue& queue, Precision precision, double seconds) {
  const Spin spin = VITRAIL_DISPATCH(FindSpin)(precision);
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
