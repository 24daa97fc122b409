// The classes of modules saved whole (torch.save(model)) whose forward pass is one of Vitrail's. A
// class of another name may have tensors of the same names and shapes and compute something else:
// timm's Eva beside its VisionTransformer.
#pragma once

#include <string_view>

#include "formats/tensor_source.h"

namespace vitrail {

// "timm.models.vision_transformer.VisionTransformer"
bool is_known_module_class(std::string_view name);

// Error: a module saved whole of a class that is not known. A file of tensors alone has none.
void check_module_class(const TensorSource& tensors);

}  // namespace vitrail
