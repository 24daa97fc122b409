// Batch normalisation (Ioffe and Szegedy 2015) of pictures whose channels lie innermost.
#pragma once

#include "autograd/context.h"
#include "autograd/parameter.h"
#include "ops/norm_epilogue.h"

namespace vitrail {

// All [C].
struct BatchNormWeights {
  const Parameter& gamma;
  const Parameter& beta;
  Parameter& running_mean;  // buffers
  Parameter& running_variance;
  double epsilon = 1e-5;
};

// x [B, ..., C], normalised over all axes but the last, in f32 in every precision: by the batch's
// own statistics under context.batch_statistics, which context.running is told (the variance as an
// unbiased estimate, as torch keeps it), otherwise by the running ones as constants.
// Error: weights or a residual that do not fit; a batch without pixels.
Variable batch_norm(const Context& context, const Variable& x, const BatchNormWeights& weights,
                    const NormEpilogue& epilogue = {});

}  // namespace vitrail
