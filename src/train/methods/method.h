// Method: what a run learns. The supervised method, distillation, masked autoencoding and
// self-distillation are Methods; Learner and Trainer know no other thing about them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

#include "autograd/context.h"
#include "data/loader.h"
#include "formats/tensor_source.h"
#include "image/preprocess/preprocess.h"
#include "models/network.h"

namespace vitrail {

// Where a step stands. Counts begin at 0.
struct StepNumbers {
  int64_t step = 0, total_steps = 1;
  int64_t epoch = 0, epochs = 1;
  // A step's batch is computed in parts when it accumulates gradients or has several processes.
  int64_t part = 0, parts = 1;
};

struct MethodLoss {
  Variable loss;        // [1], mean over the part
  int64_t correct = 0;  // pictures that were answered rightly; 0 where nothing is answered
};

class Method {
 public:
  virtual ~Method() = default;
  // What the run exports and evaluates.
  virtual Network& model() = 0;
  // All that is trained: the model's own, and a decoder's for instance.
  virtual ParameterRegistry& parameters() = 0;
  // Records on context.tape. The random key is that of the part.
  virtual MethodLoss forward(Context& context, const Batch& batch, const StepNumbers& numbers) = 0;
  // Once, when parameters() have their first values, and model() those of a checkpoint if the run
  // starts from one. A run that is resumed loads its state afterwards.
  virtual void begin() {}
  // After an evaluation: what people look at, from a batch of the pictures that were judged, as
  // files in the run's folder.
  virtual void illustrate(Queue& queue, const Batch& batch, const Preprocess& preprocess,
                          const std::filesystem::path& folder) {
    (void)queue, (void)batch, (void)preprocess, (void)folder;
  }
  // Numbers that add up over the parts of a step; several processes sum theirs before
  // after_update().
  virtual std::span<double> step_sums() { return {}; }
  // After the optimizer's step: a momentum teacher, a centre. Not called when a step is skipped.
  virtual void after_update(Queue& queue, const StepNumbers& numbers) {
    (void)queue, (void)numbers;
  }
  // What a checkpoint holds beside parameters() and the optimizer; may share memory.
  virtual NamedTensors state() const { return {}; }
  // Error: a tensor is missing or has another shape.
  virtual void load_state(const TensorSource& tensors) { (void)tensors; }
};

}  // namespace vitrail
