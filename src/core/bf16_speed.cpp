#include "core/bf16_speed.h"

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "core/isa.h"

namespace vitrail {
namespace {

// Below it, a product in f32 is faster even with what widening the operands costs.
constexpr double kWorthwhile = 0.8;

// `steps` times twelve independent sums, enough to hide a latency of 6 at two instructions a cycle.
// As one block of assembly it needs no compiler flag, and a debug build measures the same.
#if defined(__x86_64__)
#define VITRAIL_SPIN(instruction)                                                              \
  asm volatile("vzeroall\n1:\n.irp sum, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12\n" instruction   \
               " %%zmm0, %%zmm0, %%zmm\\sum\n.endr\ndec %0\njnz 1b\nvzeroupper"                \
               : "+r"(steps)                                                                   \
               :                                                                               \
               : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", \
                 "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15")

void spin_dot(int64_t steps) {
  VITRAIL_SPIN("vdpbf16ps");
}
void spin_multiply_add(int64_t steps) {
  VITRAIL_SPIN("vfmadd231ps");
}
#elif defined(__aarch64__)
#define VITRAIL_SPIN(extension, instruction, factor)                                          \
  asm volatile(                                                                               \
      ".arch_extension " extension                                                            \
      "\nmovi v0.4s, #0\n1:\n.irp sum, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20\n" instruction \
      " v\\sum\\().4s, v0." factor ", v0." factor "\n.endr\nsubs %0, %0, #1\nb.ne 1b"         \
      : "+r"(steps)                                                                           \
      :                                                                                       \
      : "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v16", "v17", "v18", "v19", "v20")

void spin_dot(int64_t steps) {
  VITRAIL_SPIN("bf16", "bfdot", "8h");
}
void spin_multiply_add(int64_t steps) {
  VITRAIL_SPIN("simd", "fmla", "4s");
}
#endif

#if defined(__x86_64__) || defined(__aarch64__)
double seconds_of(void (*spin)(int64_t), int64_t steps) {
  const auto start = std::chrono::steady_clock::now();
  spin(steps);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double measure() {
  constexpr int64_t kSteps = 1500;  // some 2.5 microseconds of multiply-adds
  constexpr int kTurns = 24;
  double dot = 1, multiply_add = 1;
  for (int i = 0; i < kTurns; ++i) {
    dot = std::min(dot, seconds_of(spin_dot, kSteps));
    multiply_add = std::min(multiply_add, seconds_of(spin_multiply_add, kSteps));
  }
  return 2 * multiply_add / dot;  // a step of the one adds twice as many products
}
#else
double measure() {
  return 0;
}
#endif

}  // namespace

double measure_bf16_dot_speed() {
  return machine_has_bf16_dot() ? measure() : 0;
}

double bf16_dot_speed() {
  static const double speed = measure_bf16_dot_speed();
  return speed;
}

bool bf16_dot_pays() {
  return bf16_dot_speed() >= kWorthwhile;
}

}  // namespace vitrail
