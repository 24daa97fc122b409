// --precision auto: the fastest arithmetic that a model's answers allow.
#pragma once

#include <string>

#include "core/precision.h"

namespace vitrail {

struct PrecisionChoice {
  PrecisionPlan plan;
  std::string reason;  // "bf16: its dot products do 2.0 times f32's multiply-adds here; ..."
};

// `own` is what the checkpoint asks for. f32 is always allowed. bf16 is, too: it rounds each
// operand by at most 1/512 and leaves about 99 answers of a hundred as they are. 8 bits only as a
// model says by itself, since `vitrail quantize` wrote that after it had measured what they cost.
// Of those allowed the one of the highest rate here (kernels/peak.h: relative_speed), if it gains a
// fifth; else f32, which rounds least.
PrecisionChoice fastest_precision(const PrecisionPlan& own);

// Multiply-adds in the time of one of f32's.
struct PrecisionRates {
  double bf16 = 1, int8 = 1;
};
PrecisionChoice fastest_precision(const PrecisionPlan& own, const PrecisionRates& rates);

}  // namespace vitrail
