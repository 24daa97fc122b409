// Activation checkpointing (Chen et al., "Training deep nets with sublinear memory cost", 2016).
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "autograd/context.h"

namespace vitrail {

// Runs `segment` without saving its activations; the backward walk runs it again on a nested tape.
// The segment must be a pure function of its inputs, its parameters and the context's random key,
// and may have several outputs. Without a tape it is just segment(context, inputs).
using Segment =
    std::function<std::vector<Variable>(const Context&, std::span<const Variable> inputs)>;
std::vector<Variable> checkpoint(const Context& context, std::span<const Variable> inputs,
                                 Segment segment);

// The same of one input and one output.
Variable checkpoint(const Context& context, const Variable& input,
                    std::function<Variable(const Context&, const Variable&)> segment);

}  // namespace vitrail
