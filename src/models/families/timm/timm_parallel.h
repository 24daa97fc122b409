// timm's ParallelScalingBlock and DiffParallelScalingBlock: what Vitrail has as two projections of
// one norm, they store as one matrix.
//
//   in_norm                     norm1
//   in_proj.{weight, bias}      mlp.fc1 above attn.qkv; without a bias mlp_bias is mlp.fc1's
//   q_norm, k_norm              below attn, as lambda_{q,k}{1,2} and sub_norm
//   attn_out_proj, mlp_out_proj attn.proj, mlp.fc2
//   out_proj                    both side by side, with one bias, which attn.proj has
//   ls.gamma                    ls1.gamma
#pragma once

#include <memory>
#include <string>

#include "formats/tensor_source.h"
#include "models/families/writing/model_edit.h"

namespace vitrail {

// The tensors with such blocks under Vitrail's names; `tensors` itself where there are none.
// `prefix` is the file's. Error: a matrix that is too small to hold its parts.
std::shared_ptr<TensorSource> with_parallel_blocks(std::shared_ptr<TensorSource> tensors,
                                                   const std::string& prefix);

// The way back: the model's tensors as timm stores them.
void join_parallel_blocks(ModelEdit& model);

}  // namespace vitrail
