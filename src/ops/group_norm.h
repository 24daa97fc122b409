// Group normalisation (Wu and He 2018) of pictures whose channels lie innermost.
#pragma once

#include "autograd/context.h"
#include "autograd/parameter.h"
#include "ops/norm_epilogue.h"

namespace vitrail {

// gamma and beta [C].
struct GroupNormWeights {
  const Parameter& gamma;
  const Parameter& beta;
  int64_t groups = 32;
  double epsilon = 1e-5;
};

// x [B, ..., C]; a group's statistics are taken over all axes between, in f32 in every precision.
// Error: groups that do not divide C; weights or a residual that do not fit.
Variable group_norm(const Context& context, const Variable& x, const GroupNormWeights& weights,
                    const NormEpilogue& epilogue = {});

}  // namespace vitrail
