// Layer normalisation (Ba, Kiros and Hinton 2016), and the root-mean-square variant of it (Zhang
// and Sennrich 2019). Statistics are f32 in every precision.
#pragma once

#include "autograd/context.h"
#include "autograd/parameter.h"
#include "kernels/layer_norm.h"

namespace vitrail {

// gamma and beta [D]; beta may be null. What reads them normalises by `kind`.
struct LayerNormWeights {
  const Parameter& gamma;
  const Parameter* beta = nullptr;
  double epsilon = 1e-6;
  kernels::NormKind kind = kernels::NormKind::layer;
};

// Over the last axis of x [..., D]. Error: the weights are not as long as x's rows.
Variable layer_norm(const Context& context, const Variable& x, const LayerNormWeights& weights);
// The same without weights.
Variable plain_layer_norm(const Context& context, const Variable& x, double epsilon = 1e-6);
// Over the channels of each pixel of x [B, C, H, W]; weights [C]. Where channels lie innermost, as
// convolutions have them, this is layer_norm(). Error: x has not four axes.
Variable layer_norm_2d(const Context& context, const Variable& x, const LayerNormWeights& weights);

// x / sqrt(mean(x^2) + epsilon), times gamma [D] where it is not null; as torch.nn.RMSNorm.
// Error: as layer_norm().
Variable rms_norm(const Context& context, const Variable& x, const Parameter* gamma,
                  double epsilon = 1e-6);

}  // namespace vitrail
