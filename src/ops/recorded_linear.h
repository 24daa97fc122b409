// The product of linear() with the backward pass that training needs. Part of ops/linear.cpp.
#pragma once

#include "autograd/context.h"
#include "autograd/parameter.h"

namespace vitrail {

// Whether a product that is recorded runs in bf16 under this precision. int8 has no gradient: it
// trains in f32.
inline bool records_bf16(Precision precision) {
  return precision == Precision::bf16;
}

// y = x W^T + b + residual; bias and residual may be null. With bf16, all three products, y, dx and
// dW, take operands rounded to bf16 and add in f32, and x is kept for the backward pass in bf16.
// Bias, residual and every gradient are f32.
Variable recorded_linear(const Context& context, const Variable& x, const Parameter& weight,
                         const Parameter* bias, const Variable* residual, bool bf16);

}  // namespace vitrail
