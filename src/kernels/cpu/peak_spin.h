// Loops of multiply-adds in registers, for peak.cpp to time.
#pragma once

#include <cstdint>

namespace vitrail::kernels {

struct PeakSpin {
  void (*run)(int64_t steps, void* out);  // out: 64 bytes, aligned
  int64_t operations;                     // of a step; a multiply-add counts as two
};

inline constexpr int kPeakSums = 12;  // of peak_loop-inl.h

// By dot-product instructions, which Highway 1.0.3 lacks; to be called only where they are.
PeakSpin peak_spin_avx512_bf16();
PeakSpin peak_spin_avx512_vnni();
PeakSpin peak_spin_avx2_vnni();

}  // namespace vitrail::kernels
