// Activation checkpointing (Chen et al., "Training deep nets with sublinear memory cost", 2016).
#pragma once

#include <functional>

#include "autograd/context.h"

namespace vitrail {

// Runs `segment` without saving its activations; the backward walk runs it again on a nested tape.
// The segment must be a pure function of its input, its parameters and the context's random key.
// Without a tape it is just segment(context, input).
Variable checkpoint(const Context& context, const Variable& input,
                    std::function<Variable(const Context&, const Variable&)> segment);

}  // namespace vitrail
