// Weights of google's JAX Vision Transformers (ViT, AugReg, big_vision: .npz) as PyTorch has them:
// under timm's names, kernels transposed, heads joined. timm's own loader reads them so.
#pragma once

#include <memory>

#include "formats/tensor_source.h"

namespace vitrail {

// Of a file whose names are JAX's; any other is returned as it is. metadata() gives kJaxHeads. What
// has no place in a plain Vision Transformer keeps its name. Error: kernels that do not fit each
// other, a block's arrays stacked, a hybrid's.
std::shared_ptr<TensorSource> jax_as_torch(std::shared_ptr<TensorSource> tensors);

inline constexpr const char* kJaxHeads = "jax.num_heads";

}  // namespace vitrail
