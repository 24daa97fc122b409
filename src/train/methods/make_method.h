// The methods by name, as a run's configuration chooses them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "train/methods/method.h"
#include "train/run/config.h"

namespace vitrail {

struct MethodSetup {
  const TrainConfig& config;
  // Of the configuration, without values yet, and the caller's. A method may have one of its own
  // instead, and then answers with that.
  Network& model;
  const std::vector<std::string>& classes;  // of the pictures
};
// Error: config.method is unknown; the message lists those that there are.
std::unique_ptr<Method> make_method(const MethodSetup& setup);

// The crops of a training batch: DINO's, as its authors change them; none for the other methods.
std::vector<ViewOptions> views_of(const TrainConfig& config);

}  // namespace vitrail
