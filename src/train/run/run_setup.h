// What a run's configuration means for the learner and the method.
#pragma once

#include <memory>

#include "train/run/learner.h"
#include "train/run/run_data.h"
#include "train/run/trainer.h"

namespace vitrail {

// For epochs of `batches` steps.
LearnerOptions learner_options(const TrainConfig& config, int64_t batches);

// The method with first weights, and what the configuration freezes frozen. `model` is for methods
// without one of their own.
std::unique_ptr<Method> first_method(const TrainConfig& config, const RunOptions& options,
                                     Network& model, const RunData& data);

}  // namespace vitrail
