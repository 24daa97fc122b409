// Ema: an exponential moving average of a model's weights, which is what a run then evaluates and
// exports (Polyak and Juditsky 1992; the semantics of timm's ModelEmaV3).
#pragma once

#include <cstdint>
#include <vector>

#include "core/queue.h"
#include "formats/tensor_source.h"
#include "nn/registry.h"

namespace vitrail {

struct EmaOptions {
  double decay = 0.9999;
  // The decay grows as min(decay, 1 - (1 + step)^(-2/3)), so that a short run's average forgets its
  // beginning.
  bool warmup = false;
};

class Ema {
 public:
  // The registry must outlive the average, which begins as the weights that it has now.
  Ema(ParameterRegistry& parameters, const EmaOptions& options);

  // After the update of step 0, 1, ...: average = decay average + (1 - decay) weights. The first
  // copies the weights.
  void update(Queue& queue, int64_t step);
  double decay_at(int64_t step) const;

  // "ema.PATH", sharing memory.
  NamedTensors state() const;
  // Error: a tensor is missing or has another shape; nothing has changed then.
  void load(const TensorSource& tensors);

  // While it lives, the model computes with the averaged weights.
  class InPlace {
   public:
    explicit InPlace(Ema* ema) : ema_(ema) {
      if (ema_ != nullptr) ema_->swap();
    }
    ~InPlace() {
      if (ema_ != nullptr) ema_->swap();
    }
    InPlace(const InPlace&) = delete;
    InPlace& operator=(const InPlace&) = delete;

   private:
    Ema* ema_;  // null: without an average the weights themselves
  };

 private:
  void swap();

  ParameterRegistry& parameters_;
  EmaOptions options_;
  std::vector<Tensor> averages_;  // in the registry's order
};

}  // namespace vitrail
