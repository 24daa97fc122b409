// Group normalisation of pictures whose channels lie innermost (Wu and He, 2018), with what follows
// it in a residual network: the shortcut's sum and ReLU.
//
// Each picture is normalised by itself, over all pixels and the channels of a group: unlike batch
// normalisation, a picture's answer depends neither on its batch nor on how a batch is divided.
#pragma once

#include <cstdint>

#include "core/queue.h"

namespace vitrail::kernels {

struct GroupNormSize {
  int64_t batch = 0;
  int64_t pixels = 0;
  int64_t channels = 0;
  int64_t groups = 1;  // divides channels; a group's channels are neighbours
};

struct GroupNormArgs {
  GroupNormSize size;
  float epsilon = 1e-5f;
  const float* x = nullptr;         // [batch, pixels, channels]
  const float* gamma = nullptr;     // [channels]
  const float* beta = nullptr;      // [channels]
  const float* residual = nullptr;  // [batch, pixels, channels], or null: none
  bool relu = false;
  float* y = nullptr;     // [batch, pixels, channels], may be x or residual
  float* mean = nullptr;  // [batch, groups], optional: what the backward needs
  float* rstd = nullptr;  // [batch, groups], optional: 1 / sqrt(variance + epsilon)
};
// y = relu((x - mean) rstd gamma + beta + residual). f32 throughout; mean first, then the mean of
// squared differences (biased). A channel adds its pixels in four interleaved sums, a group its
// channels in order. Threads take pictures, or groups of one: neither changes a sum.
void group_norm(Queue& queue, const GroupNormArgs& args);

struct GroupNormBackwardArgs {
  GroupNormSize size;
  const float* x = nullptr;
  const float* y = nullptr;   // the forward's output where it had ReLU; null: it had none
  const float* dy = nullptr;  // [batch, pixels, channels]
  const float* gamma = nullptr;
  const float* mean = nullptr;  // as saved
  const float* rstd = nullptr;
  float* dx = nullptr;         // = , may be dy; null: not wanted
  float* dresidual = nullptr;  // = dy where y > 0, may be dy but not dx; null: not wanted
  float* dgamma = nullptr;     // += [channels]; null: not wanted
  float* dbeta = nullptr;      // += [channels]; null: not wanted
};
// With d = dy where y > 0 (ReLU has slope 0 at 0), n = (x - mean) rstd and g = d gamma:
// dx = rstd (g - mean(g) - n mean(g n)), means over the group; dgamma += sum over pictures and
// pixels of d n, dbeta += that of d: a picture's sum each, joined in the pictures' order.
void group_norm_backward(Queue& queue, const GroupNormBackwardArgs& args);

}  // namespace vitrail::kernels
