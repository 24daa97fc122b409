// Context: everything a forward pass needs to know about the life it is in. Modules pass it down
// and never ask whether they train or infer.
#pragma once

#include <functional>
#include <initializer_list>
#include <string>

#include "autograd/tape.h"
#include "core/precision.h"
#include "core/queue.h"
#include "core/rng.h"

namespace vitrail {

class AttentionProbe;
class RunningStatistics;
class Timings;

struct Context {
  explicit Context(Queue& work_queue) : queue(work_queue) {}

  Queue& queue;
  Tape* tape = nullptr;                      // null in inference: nothing is recorded or saved
  const PrecisionPlan* precision = nullptr;  // null: f32
  bool dropout = false;                      // dropout, attention dropout and drop-path are active
  // Blocks keep only their input and are run again in the backward pass (autograd/checkpoint.h).
  bool activation_checkpointing = false;
  bool batch_statistics = false;         // batch normalisation takes its batch's, not running ones
  RunningStatistics* running = nullptr;  // is told them; null: nobody is
  RandomKey random;                      // with a module's path it keys every random number
  AttentionProbe* probe = nullptr;       // keeps q, k, v and log-sum-exp of the layers it wants
  Timings* timings = nullptr;  // what each operation takes is added to it (autograd/timing.h)
  // Told each named activation as it is made: "patch_embed", "blocks.3", "norm", "head".
  std::function<void(const std::string& path, const Variable& value)> observer;

  void observe(const std::string& path, const Variable& value) const {
    if (observer) observer(path, value);
  }
};

// Whether an operation on these inputs must be recorded.
inline bool records(const Context& context, std::initializer_list<const Variable*> inputs) {
  if (context.tape == nullptr) return false;
  for (const Variable* input : inputs)
    if (input != nullptr && input->needs_gradient()) return true;
  return false;
}

}  // namespace vitrail
