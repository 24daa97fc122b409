// Arithmetic and functions of f32 arrays, contiguous but for `arithmetic`. Every output may be one
// of the inputs. Threads take fixed ranges.
#pragma once

#include <cstdint>

#include "core/queue.h"
#include "core/tensor.h"

namespace vitrail::kernels {

void fill(Queue& queue, int64_t count, float value, float* out);
// out = factor x
void scale(Queue& queue, int64_t count, float factor, const float* x, float* out);

struct BinaryArgs {
  int64_t count = 0;
  const float* a = nullptr;
  const float* b = nullptr;
  float* out = nullptr;
};
// out = a + b
void add(Queue& queue, const BinaryArgs& args);
// out = a b
void multiply(Queue& queue, const BinaryArgs& args);

// out = a + scale b; with out = a it accumulates.
struct AddScaledArgs {
  int64_t count = 0;
  const float* a = nullptr;
  float scale = 1;
  const float* b = nullptr;
  float* out = nullptr;
};
void add_scaled(Queue& queue, const AddScaledArgs& args);

enum class Arithmetic : uint8_t { add, subtract, multiply, divide };

// Views of one shape, f32. A stride of 0 repeats an element: broadcast_to() of kernels/copy.h makes
// such views as NumPy does.
struct ArithmeticArgs {
  Arithmetic operation = Arithmetic::add;
  View a;
  View b;
  View out;  // distinct elements; may be a or b itself
};
// out = a operation b. Threads take blocks.
void arithmetic(Queue& queue, const ArithmeticArgs& args);

enum class Function : uint8_t {
  exp,
  log,  // -inf at 0, NaN below
  sqrt,
  rsqrt  // 1 / sqrt(x)
};

struct FunctionArgs {
  Function function = Function::exp;
  int64_t count = 0;
  const float* x = nullptr;
  float* y = nullptr;
};
// y = function(x), to 2 ulp (exp: within its range, see cpu/vector_math-inl.h).
void apply(Queue& queue, const FunctionArgs& args);

struct FunctionBackwardArgs {
  Function function = Function::exp;
  int64_t count = 0;
  const float* saved = nullptr;  // the forward's y; for log its x
  const float* dy = nullptr;
  float* dx = nullptr;
};
// dx = dy function'(x).
void apply_backward(Queue& queue, const FunctionBackwardArgs& args);

}  // namespace vitrail::kernels
