// A checkpoint's tensors under canonical names: parts joined, every value checked to be finite.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "formats/tensor_source.h"
#include "models/families/checkpoint_info.h"
#include "models/families/names.h"
#include "models/network.h"

namespace vitrail {

// Of any width; what the weights of a checkpoint are.
bool is_float(DType dtype);

// The rules for every parameter of the model, from the tensors of the file. Tensors without a
// meaning for the answer are listed in info.left_out. Errors, each naming the tensor: one that is
// missing, one that the model has no place for, a shape that does not fit, a dtype that is none of
// the floats.
void match_weights(const Network& model, const TensorSource& tensors, const Spelling& spelling,
                   CheckpointInfo& info);

// Presents `tensors` under the canonical names of the rules, with the model's shapes and in the
// file's dtype; a single part is as the file's reader gives it.
// tensor() throws an Error naming the file's tensor when a value is NaN or infinite, quantized()
// when a scale is.
std::shared_ptr<TensorSource> canonical_tensors(std::shared_ptr<TensorSource> tensors,
                                                const Network& model,
                                                const std::vector<WeightRule>& rules);

// Gives every parameter of the model its value, in f32, or the integers that the file holds; or one
// of them.
void load_weights(Network& model, const TensorSource& canonical);
void load_weight(Parameter& parameter, const TensorSource& canonical);

}  // namespace vitrail
