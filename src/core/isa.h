// Which instruction set the SIMD code (kernels/, image/) runs on. Chosen once from what the machine
// has; the environment variable VITRAIL_ISA or force_isa() narrows it to sse4, avx2, avx2_vnni,
// avx512, avx512_vnni, avx512_bf16 or neon. A name says all that is used: avx512 stands for AVX-512
// alone, avx512_vnni adds its int8 dot product, and avx512_bf16 adds the bf16 one to both.
#pragma once

#include <string>
#include <vector>

namespace vitrail {

// The one in use: "avx512_vnni". Error: VITRAIL_ISA names one that this machine or build lacks.
std::string active_isa();
// Those that this machine can run, best first.
std::vector<std::string> available_isas();
// Switches every later call; an empty name returns to the default. Packed weights made for
// another one must be packed again (Parameter's derived forms are keyed by it). Error: as above.
// Not to be called while they run.
void force_isa(const std::string& name);

}  // namespace vitrail
