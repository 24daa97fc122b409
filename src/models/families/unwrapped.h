// Tensors under the names that they had before a trainer wrapped the model: torch.compile puts
// `_orig_mod` into a name, data parallelism `module`, a Lightning module `model`, in any order and
// at any depth.
#pragma once

#include <memory>

#include "formats/tensor_source.h"

namespace vitrail {

// `tensors` itself where nothing is wrapped. Error: two names become one.
std::shared_ptr<TensorSource> unwrapped(std::shared_ptr<TensorSource> tensors);

}  // namespace vitrail
