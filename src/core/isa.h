// Which instruction set the SIMD code (kernels/, image/) runs on. Chosen once from what the machine
// has; the environment variable VITRAIL_ISA or force_isa() narrows it to sse4, avx2, avx2_vnni,
// avx512, avx512_vnni, avx512_bf16, neon, neon_dotprod, neon_i8mm or neon_bf16. A name says all
// that is used: avx512 stands for AVX-512 alone, avx512_vnni adds its int8 dot product, and
// avx512_bf16 adds the bf16 one to both. On Arm each name after the first adds one extension to
// those before.
//
// Without VITRAIL_ISA the best is taken, of those with the bf16 dot product only where it is faster
// than f32's multiply-add (core/bf16_speed.h). VITRAIL_BF16=dot takes it at any speed and
// VITRAIL_BF16=widen never, which leaves everything else as it is.
#pragma once

#include <string>
#include <vector>

namespace vitrail {

// The one in use: "avx512_vnni". Error: VITRAIL_ISA names one that this machine or build lacks, or
// VITRAIL_BF16 says what it cannot do.
std::string active_isa();
// Those that this machine can run, best first.
std::vector<std::string> available_isas();
// Switches every later call; an empty name returns to the default. Packed weights made for
// another one must be packed again (Parameter's derived forms are keyed by it). Error: as above.
// Not to be called while they run.
void force_isa(const std::string& name);

// What VITRAIL_BF16 asks for: by_speed when it is not set.
enum class Bf16Products { by_speed, dot, widen };
// The one that a process takes by default, or by `name` alone. Error: none fits.
std::string isa_for(const std::string& name, Bf16Products bf16);

// Whether the processor has bf16 dot products (AVX512-BF16, Arm's BF16), whatever is in use.
bool machine_has_bf16_dot();

}  // namespace vitrail
