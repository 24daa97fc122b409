#include "infer/fastest_precision.h"

#include <fmt/format.h>

#include "core/advice.h"
#include "kernels/peak.h"

namespace vitrail {
namespace {

constexpr double kWorthRounding = 1.2;

}  // namespace

PrecisionChoice fastest_precision(const PrecisionPlan& own, const PrecisionRates& rates) {
  const bool measured = own.base == Precision::int8;
  if (measured && rates.int8 >= kWorthRounding && rates.int8 >= rates.bf16)
    return {own, fmt::format("int8, as the model was quantized: {}, {:.1f} times f32's rate here",
                             kernels::arithmetic_of(Precision::int8), rates.int8)};
  const std::string no_int8 =
      measured ? "8 bits are no faster here"
               : fmt::format("8 bits only after {} has measured them", said(Deed::quantize));
  const std::string bf16 = fmt::format("{}, {:.1f} times f32's rate here",
                                       kernels::arithmetic_of(Precision::bf16), rates.bf16);
  if (rates.bf16 >= kWorthRounding)
    return {default_plan(Precision::bf16), fmt::format("bf16: {}; {}", bf16, no_int8)};
  return {default_plan(Precision::f32),
          fmt::format("f32, which rounds least: bf16 is {}; {}", bf16, no_int8)};
}

PrecisionChoice fastest_precision(const PrecisionPlan& own) {
  return fastest_precision(own, {.bf16 = kernels::relative_speed(Precision::bf16),
                                 .int8 = kernels::relative_speed(Precision::int8)});
}

}  // namespace vitrail
