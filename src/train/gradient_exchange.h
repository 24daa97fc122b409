// GradientExchange: what the processes of a data-parallel run tell each other within a step.
//
// A step's batch has `parts` parts. Rank r of R computes parts r·A to r·A + A - 1, with A the parts
// that each process accumulates, and sums their gradients in that order. The exchange sums the
// ranks' gradients as rank 0 + rank 1 + ...; the Learner then multiplies by 1 / parts. So R ranks
// with A = 1 give the bits of one process that accumulates R parts.
#pragma once

#include <span>

#include "autograd/parameter.h"

namespace vitrail {

class GradientExchange {
 public:
  virtual ~GradientExchange() = default;
  virtual int rank() const = 0;
  virtual int ranks() const = 0;
  // This rank's gradient of a parameter is complete. Every rank calls in the same order, from one
  // thread, most often while the backward walk still runs; so this must not wait for other ranks.
  // Nobody else touches the tensor until finish() returns.
  virtual void ready(const Parameter& parameter, const Tensor& gradient) = 0;
  // Waits until every gradient that ready() was given holds the sum over the ranks, in place.
  virtual void finish() = 0;
  // Sums values over the ranks in their order, in place.
  virtual void sum(std::span<double> values) = 0;
};

}  // namespace vitrail
