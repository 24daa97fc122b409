// Training a model from a data set.
#pragma once

#include <vitrail/error.h>
#include <vitrail/export.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

namespace vit {

struct TrainOptions {
  std::string data = {};  // "folder:DIR", "fashion-mnist:DIR", "cifar10:DIR", "scenes:size=64"
  std::filesystem::path output = {};  // the run's folder; it can be loaded as a model afterwards
  std::string architecture = {};      // "": the recipe's own for this kind of data
  // Fields of the training or of the model: {"epochs", "20"}, {"learning_rate", "5e-4"}.
  std::vector<std::pair<std::string, std::string>> settings = {};
  int threads = 0;           // 0: all cores
  int workers = 1;           // threads beside them that decode and augment
  bool resume = false;       // go on from the run's last checkpoint
  double max_broken = 0.01;  // this share of the pictures may be unreadable, [0, 1]
  // Ends the run after the step at hand with a checkpoint and an Error (ErrorCode::cancelled);
  // `resume` goes on from there.
  std::stop_token stop = {};
};

struct TrainProgress {
  std::int64_t step = 0, steps = 0;    // done, of all
  std::int64_t epoch = 0, epochs = 0;  // of the step done, from 0
  double loss = 0;                     // over the epoch so far
  double pictures_per_second = 0;
};

struct TrainResult {
  double accuracy = 0;  // on the pictures held out, 0 to 1
  std::int64_t evaluated = 0;
};

// Trains from the recipe for the data. `progress`, which may be empty, is told of each step on the
// calling thread.
// Error: data, settings or output that cannot be used; a stop (cancelled).
VITRAIL_API TrainResult train(const TrainOptions& options,
                              const std::function<void(const TrainProgress&)>& progress = {});

}  // namespace vit
