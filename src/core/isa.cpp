#include "core/isa.h"

#include <array>
#include <cstdlib>
#include <mutex>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

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
constexpr std::array<Isa, 7> kIsas{{{"avx512_bf16", HWY_AVX3, {.int8 = true, .bf16 = true}},
                                    {"avx512_vnni", HWY_AVX3, {.int8 = true}},
                                    {"avx512", HWY_AVX3, {}},
                                    {"avx2_vnni", HWY_AVX2, {.int8 = true}},
                                    {"avx2", HWY_AVX2, {}},
                                    {"sse4", HWY_SSE4, {}},
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
  if (target == HWY_AVX3)
    return {.int8 = (ecx & kAvx512Vnni) != 0, .bf16 = (eax1 & kAvx512Bf16) != 0};
  if (target == HWY_AVX2) return {.int8 = (eax1 & kAvxVnni) != 0};
#endif
  return {};
}

const Isa* active = nullptr;  // written by use(), which no kernel may overlap

bool runs_here(const Isa& isa) {
  const DotProducts dots = machine_dots(isa.target);
  return (isa.target & HWY_TARGETS & hwy::SupportedTargets()) != 0 &&
         (dots.int8 || !isa.dots.int8) && (dots.bf16 || !isa.dots.bf16);
}

void use(const std::string& name, const char* place) {
  hwy::SetSupportedTargetsForTest(0);  // undo an earlier choice before asking what is there
  const Isa* found = nullptr;
  std::string known;
  for (const Isa& isa : kIsas) {
    if (!runs_here(isa)) continue;
    if (found == nullptr && (name.empty() || name == isa.name)) found = &isa;
    known += (known.empty() ? "" : ", ") + std::string(isa.name);
  }
  if (found == nullptr)
    fail(place, "instruction set '{}' is not available here; choose one of {}", name, known);
  hwy::SetSupportedTargetsForTest(found->target);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  active = found;
}

}  // namespace

void select_isa() {
  static std::once_flag once;
  std::call_once(once, [] {
    const char* wanted = std::getenv("VITRAIL_ISA");
    use(wanted == nullptr ? "" : wanted, "VITRAIL_ISA");
  });
}

void force_isa(const std::string& name) {
  select_isa();
  use(name, "isa");
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
  const std::string before = active_isa();
  hwy::SetSupportedTargetsForTest(0);
  std::vector<std::string> names;
  for (const Isa& isa : kIsas)
    if (runs_here(isa)) names.emplace_back(isa.name);
  use(before, "isa");
  return names;
}

}  // namespace vitrail
