// Elementwise activations and the gates of gated MLPs.
#pragma once

#include "autograd/context.h"
#include "kernels/activation.h"

namespace vitrail {

// y = act(x), any shape.
Variable activation(const Context& context, const Variable& x, kernels::Activation kind);

// act(gate) * value for two tensors of one shape.
Variable gate(const Context& context, const Variable& gate, const Variable& value,
              kernels::Activation kind);

// The same for a packed projection x [..., 2h]: gate = x[..., :h], value = x[..., h:]; with
// gate_last the halves change roles. Returns [..., h]. Error: an odd last size.
Variable gate_packed(const Context& context, const Variable& x, kernels::Activation kind,
                     bool gate_last = false);

}  // namespace vitrail
