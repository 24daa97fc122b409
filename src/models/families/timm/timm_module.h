// What one of timm's models saved whole (torch.save(model)) says of itself, beside its weights: by
// its own attributes and those of the modules in it. Nothing of it is run; a class that is not
// known stays a name.
#pragma once

#include "formats/tensor_source.h"
#include "models/families/reading/draft.h"

namespace vitrail {

// Of timm's VisionTransformer: heads, activation, epsilon, pooling, sizes, preprocessing. Of any
// other file: nothing. Error: a part of a class that computes what Vitrail does not, or parts that
// differ where Vitrail has one value.
void settle_from_module(ConfigDraft& draft, const TensorSource& tensors);

}  // namespace vitrail
