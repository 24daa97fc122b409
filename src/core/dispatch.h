// How a SIMD file reaches its per-target code: VITRAIL_DISPATCH(Function)(arguments).
#pragma once

#include "hwy/highway.h"

namespace vitrail {

void select_isa();  // reads VITRAIL_ISA before the first dispatch; later calls cost one load

// The dot-product instructions that the instruction set in use has.
struct DotProducts {
  bool int8 = false;        // bytes, four products to an int32 sum
  bool mixed_int8 = false;  // such of u8 x s8 in one instruction
  bool bf16 = false;        // bf16 x bf16, two to a float sum
};
DotProducts dot_products();

}  // namespace vitrail

#define VITRAIL_DISPATCH(function) (::vitrail::select_isa(), HWY_DYNAMIC_DISPATCH(function))
