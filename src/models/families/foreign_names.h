// Models that people have files of and that Vitrail does not read, told by the names of their
// tensors, so that a refusal can name the model.
#pragma once

#include "formats/tensor_source.h"

namespace vitrail {

// "vit-pytorch's CvT"; null: none that is known here.
const char* foreign_model(const TensorSource& tensors);

}  // namespace vitrail
