// A head behind batch normalisation without weights, as MAE's linear probing trains one (He et al.
// 2022, appendix A): a plain head computes the same.
#pragma once

#include <memory>

#include "formats/tensor_source.h"

namespace vitrail {

// The tensors with head.weight and head.bias in the place of head.0.running_*, head.0.weight,
// head.0.bias (where they are) and head.1.*; the source itself where it has no such head. Error: a
// statistic or a norm that does not fit the head.
std::shared_ptr<TensorSource> with_plain_head(std::shared_ptr<TensorSource> tensors);

}  // namespace vitrail
