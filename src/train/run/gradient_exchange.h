// GradientExchange: what the processes of a data-parallel run tell each other within a step.
//
// A step's batch has `parts` parts, A for each of R ranks. Rank r computes parts r, r + R, r + 2R,
// ... (data/loader.h hands them out so), each part's gradient from zero, and sums them in that
// order. The exchange sums the ranks' gradients as (rank 0 + rank 1) + rank 2 ...; the Learner then
// multiplies by 1 / parts. So R ranks with A = 1 give the bits of one process that accumulates R
// parts.
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

// Returns when every rank has called it; at once without an exchange.
void synchronise(GradientExchange* exchange);

}  // namespace vitrail
