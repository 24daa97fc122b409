#include "core/isa.h"

#include <array>
#include <cstdlib>
#include <mutex>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

#include "core/bf16_speed.h"
#include "core/dispatch.h"
#include "core/error.h"
#include "hwy/highway.h"
#include "hwy/targets.h"

namespace vitrail {
namespace {

struct Isa {
  const char* name;
  int64_t target;
  DotProducts dots;
};
// Only what this build compiled (HWY_TARGETS), best first.
constexpr DotProducts kMixed{.int8 = true, .mixed_int8 = true, .bf16 = false};
constexpr DotProducts kMixedAndBf16{.int8 = true, .mixed_int8 = true, .bf16 = true};
constexpr std::array<Isa, 10> kIsas{{{"avx512_bf16", HWY_AVX3, kMixedAndBf16},
                                     {"avx512_vnni", HWY_AVX3, kMixed},
                                     {"avx512", HWY_AVX3, {}},
                                     {"avx2_vnni", HWY_AVX2, kMixed},
                                     {"avx2", HWY_AVX2, {}},
                                     {"sse4", HWY_SSE4, {}},
                                     {"neon_bf16", HWY_NEON, kMixedAndBf16},
                                     {"neon_i8mm", HWY_NEON, kMixed},
                                     {"neon_dotprod", HWY_NEON, {.int8 = true}},
                                     {"neon", HWY_NEON, {}}}};

// What this machine's dot-product instructions cover; Highway 1.0.3 does not ask for them.
DotProducts machine_dots(int64_t target) {
#if defined(__x86_64__)
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  unsigned eax1 = 0, ebx1 = 0, ecx1 = 0, edx1 = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return {};
  if (eax >= 1) __get_cpuid_count(7, 1, &eax1, &ebx1, &ecx1, &edx1);
  constexpr unsigned kAvx512Vnni = 1u << 11;                     // leaf 7.0, ecx
  constexpr unsigned kAvxVnni = 1u << 4, kAvx512Bf16 = 1u << 5;  // leaf 7.1, eax
  const auto of = [](bool int8, bool bf16) {
    return DotProducts{.int8 = int8, .mixed_int8 = int8, .bf16 = bf16};
  };
  if (target == HWY_AVX3) return of((ecx & kAvx512Vnni) != 0, (eax1 & kAvx512Bf16) != 0);
  if (target == HWY_AVX2) return of((eax1 & kAvxVnni) != 0, false);
#elif defined(__aarch64__) && defined(__linux__)
  constexpr uint64_t kDotProd = 1u << 20;                 // AT_HWCAP
  constexpr uint64_t kI8mm = 1u << 13, kBf16 = 1u << 14;  // AT_HWCAP2
  const uint64_t more = getauxval(AT_HWCAP2);
  if (target == HWY_NEON)
    return {.int8 = (getauxval(AT_HWCAP) & kDotProd) != 0,
            .mixed_int8 = (more & kI8mm) != 0,
            .bf16 = (more & kBf16) != 0};
#endif
  (void)target;
  return {};
}

const Isa* active = nullptr;  // written by use(), which no kernel may overlap

bool runs_here(const Isa& isa) {
  const DotProducts dots = machine_dots(isa.target);
  return (isa.target & HWY_TARGETS & hwy::SupportedTargets()) != 0 &&
         (dots.int8 || !isa.dots.int8) && (dots.mixed_int8 || !isa.dots.mixed_int8) &&
         (dots.bf16 || !isa.dots.bf16);
}

// Of those that run here and do as `bf16` says, the one of this name, or the best.
const Isa* find(const std::string& name, Bf16Products bf16, const char* place) {
  hwy::SetSupportedTargetsForTest(0);  // undo an earlier choice before asking what is there
  std::string known;
  for (const Isa& isa : kIsas) {
    if (!runs_here(isa)) continue;
    if (bf16 == Bf16Products::dot && !isa.dots.bf16) continue;
    if (bf16 == Bf16Products::widen && isa.dots.bf16) continue;
    // Who names one has it, fast or slow.
    const bool slow = bf16 == Bf16Products::by_speed && isa.dots.bf16 && !bf16_dot_pays();
    if (name == isa.name || (name.empty() && !slow)) return &isa;
    known += (known.empty() ? "" : ", ") + std::string(isa.name);
  }
  if (known.empty())
    fail("VITRAIL_BF16", "this machine or build has no bf16 dot product; leave it unset, or widen");
  fail(place, "instruction set '{}' is not available here{}; choose one of {}", name,
       bf16 == Bf16Products::by_speed ? "" : " with this VITRAIL_BF16", known);
}

void use(const Isa* isa) {
  hwy::SetSupportedTargetsForTest(isa->target);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  active = isa;
}

std::string text_of(const char* variable) {
  const char* value = std::getenv(variable);
  return value == nullptr ? "" : value;
}

Bf16Products wanted_bf16() {
  const std::string wanted = text_of("VITRAIL_BF16");
  if (wanted.empty()) return Bf16Products::by_speed;
  if (wanted == "dot") return Bf16Products::dot;
  if (wanted == "widen") return Bf16Products::widen;
  fail("VITRAIL_BF16", "'{}' is neither dot nor widen", wanted);
}

}  // namespace

void select_isa() {
  static std::once_flag once;
  std::call_once(once, [] { use(find(text_of("VITRAIL_ISA"), wanted_bf16(), "VITRAIL_ISA")); });
}

void force_isa(const std::string& name) {
  select_isa();
  use(find(name, name.empty() ? wanted_bf16() : Bf16Products::by_speed, "isa"));
}

std::string isa_for(const std::string& name, Bf16Products bf16) {
  select_isa();
  const Isa* before = active;
  std::string found;
  try {
    found = find(name, bf16, "isa")->name;
  } catch (...) {
    use(before);
    throw;
  }
  use(before);
  return found;
}

bool machine_has_bf16_dot() {
#if defined(__x86_64__)
  if (!machine_dots(HWY_AVX3).bf16) return false;
  unsigned low = 0, high = 0;
  asm("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  constexpr unsigned kSavesZmm = 0xe6;  // that the system keeps the registers, too
  return (low & kSavesZmm) == kSavesZmm;
#else
  return machine_dots(HWY_NEON).bf16;
#endif
}

std::string active_isa() {
  select_isa();
  return active->name;
}

DotProducts dot_products() {
  select_isa();
  return active->dots;
}

std::vector<std::string> available_isas() {
  select_isa();
  const Isa* before = active;
  hwy::SetSupportedTargetsForTest(0);
  std::vector<std::string> names;
  for (const Isa& isa : kIsas)
    if (runs_here(isa)) names.emplace_back(isa.name);
  use(before);
  return names;
}

}  // namespace vitrail
