// Elementwise activations and gates, forward and backward.
#pragma once

#include <cstdint>

#include "core/queue.h"

namespace vitrail::kernels {

enum class Activation : uint8_t {
  none,
  gelu,        // x (1 + erf(x / sqrt 2)) / 2
  gelu_tanh,   // its tanh approximation
  quick_gelu,  // x sigmoid(1.702 x)
  relu,
  silu,  // x sigmoid(x)
  tanh,
  // From here on without a tile of its own behind a product (kernels/cpu/gemm_driver-inl.h).
  relu6,         // min(max(x, 0), 6)
  sigmoid,       // 1 / (1 + exp(-x))
  softplus,      // log(1 + exp(x))
  hard_sigmoid,  // relu6(x + 3) / 6
  hard_swish     // x relu6(x + 3) / 6
};

struct ActivationArgs {
  Activation activation = Activation::gelu;
  int64_t count = 0;
  const float* x = nullptr;
  float* y = nullptr;  // may be x
};
// y = act(x) over `count` contiguous floats. Threads take fixed ranges.
void activation(Queue& queue, const ActivationArgs& args);

struct ActivationBackwardArgs {
  Activation activation = Activation::gelu;
  int64_t count = 0;
  const float* x = nullptr;  // the forward's input
  const float* dy = nullptr;
  float* dx = nullptr;  // may be dy
};
// dx = dy act'(x).
void activation_backward(Queue& queue, const ActivationBackwardArgs& args);

// A gate over two operands [rows, width] with row strides, so both halves of a packed
// [rows, 2 width] projection are reached in place: for SwiGLU that stores the gate first,
// gate = packed, value = packed + width and both strides are 2 width; swap for value first.
struct GateArgs {
  Activation activation = Activation::silu;
  int64_t rows = 0;
  int64_t width = 0;
  const float* gate = nullptr;
  int64_t gate_stride = 0;
  const float* value = nullptr;
  int64_t value_stride = 0;
  float* y = nullptr;  // [rows, width], must not overlap the operands
  int64_t y_stride = 0;
};
// y = act(gate) value (Shazeer, "GLU variants improve Transformer", 2020). Threads take rows.
void gate(Queue& queue, const GateArgs& args);

struct GateBackwardArgs {
  Activation activation = Activation::silu;
  int64_t rows = 0;
  int64_t width = 0;
  const float* gate = nullptr;
  int64_t gate_stride = 0;
  const float* value = nullptr;
  int64_t value_stride = 0;
  const float* dy = nullptr;
  int64_t dy_stride = 0;
  float* dgate = nullptr;
  int64_t dgate_stride = 0;
  float* dvalue = nullptr;
  int64_t dvalue_stride = 0;
};
// dgate = dy value act'(gate), dvalue = dy act(gate).
void gate_backward(Queue& queue, const GateBackwardArgs& args);

}  // namespace vitrail::kernels
