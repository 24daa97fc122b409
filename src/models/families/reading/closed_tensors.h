// A file's tensors as a closed list: a name that no model of the family has here is refused before
// anything is asked of it, since it belongs to a model that computes something else.
#pragma once

#include <span>
#include <string_view>

#include "formats/tensor_source.h"
#include "models/families/names.h"

namespace vitrail {

// Error naming a tensor that has no place, and where its name tells, the model that has it. Tensors
// that hold nothing are passed over. more_modules: canonical ones that this family alone has; one
// that ends with a point stands for all that is below it.
void refuse_strange_tensors(const TensorSource& tensors, const Spelling& spelling,
                            std::span<const std::string_view> more_modules);

}  // namespace vitrail
