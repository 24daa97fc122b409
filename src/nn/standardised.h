// A convolution whose filter is standardised: each output's weights less their mean, over their
// standard deviation (Qiao et al. 2019, "Micro-Batch Training with Batch-Channel Normalization and
// Weight Standardization", eq. 5; epsilon 1e-8, as the published hybrids have it).
#pragma once

#include "ops/convolution.h"

namespace vitrail {

// As convolution() without a bias. Without a gradient the standardised filter is made once for each
// version of the weight.
Variable standardised_convolution(const Context& context, const Variable& x,
                                  const Parameter& weight, const WindowOptions& options);

}  // namespace vitrail
