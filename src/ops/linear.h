// y = epilogue(x W^T + b): the projection that every module is made of.
#pragma once

#include <string_view>

#include "autograd/context.h"
#include "autograd/parameter.h"
#include "kernels/activation.h"
#include "ops/layer_norm.h"

namespace vitrail {

// What follows the product, in this order. In inference all of it happens while a tile of the
// product is in registers; when gradients or dropout are wanted it is a chain of recorded
// operations with the same arithmetic.
struct LinearEpilogue {
  kernels::Activation activation = kernels::Activation::none;
  double dropout = 0;                      // probability of dropping an element
  const Parameter* layer_scale = nullptr;  // [N]: y * gamma (Touvron et al. 2021, CaiT, eq. 4)
  double drop_path = 0;                    // probability of dropping a sample's branch
  const Variable* residual = nullptr;      // y + residual, of y's shape
  std::string_view path;                   // keys the random numbers of both dropouts
  // Where inference writes y; it may be the residual itself. Recorded products and those with
  // dropout make a tensor of their own, so a caller looks at what it is given.
  const Tensor* destination = nullptr;
};

// The epilogue as a chain of operations of its own, for what does not end in one product. It writes
// no destination. Error: the residual is not of y's shape.
Variable apply_epilogue(const Context& context, Variable y, const LinearEpilogue& epilogue);

// What a projection reads: x, or LayerNorm or RMSNorm of x. Where the product converts its input
// anyhow (bf16 and int8 in inference) the rows are normalised on the way in; else LayerNorm comes
// first.
class LinearInput {
 public:
  LinearInput(const Variable& x) : x_(&x) {}  // NOLINT: a variable is one
  LinearInput(const Variable& x, const LayerNormWeights* norm) : x_(&x), norm_(norm) {}
  const Variable& x() const { return *x_; }
  const LayerNormWeights* norm() const { return norm_; }
  // x, or LayerNorm of it, as a variable.
  Variable value(const Context& context) const {
    return norm_ == nullptr ? *x_ : layer_norm(context, *x_, *norm_);
  }

 private:
  const Variable* x_;  // outlives this
  const LayerNormWeights* norm_ = nullptr;
};

// The product runs in the precision that the context gives the weight's path; when it is recorded,
// bf16 covers the products of the backward pass too, and int8 is f32.
// input [..., K], weight [N, K] (any shape whose first size is N and whose rest multiplies to K: a
// patch embedding's kernel), bias [N] or null; returns [..., N].
// Error: the input's last size is not K; residual's shape is not the output's.
Variable linear(const Context& context, const LinearInput& input, const Parameter& weight,
                const Parameter* bias, const LinearEpilogue& epilogue = {});

// Builds the packed form that inference reads in this precision, so that the source can be
// released.
void prepare_linear(Queue& queue, const Parameter& weight, Precision precision);

}  // namespace vitrail
