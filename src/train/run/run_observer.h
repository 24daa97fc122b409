// RunObserver: who follows a run beside its own files, a report for instance.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>

#include "train/methods/method.h"
#include "train/run/config.h"
#include "train/run/run_data.h"

namespace vitrail {

struct TrainResult;

// What a run is made of, for its whole life.
struct RunView {
  const TrainConfig& config;
  const RunData& data;
  Method& method;
  Queue& queue;
};

// Calls come from the thread that trains, and only on the process that writes the run's folder.
class RunObserver {
 public:
  virtual ~RunObserver() = default;
  // Steps and epochs that were done before this process.
  virtual void begin(const RunView& run, int64_t steps, int64_t epochs) {
    (void)run, (void)steps, (void)epochs;
  }
  // Each line of metrics.jsonl, after it was written.
  virtual void record(const nlohmann::json& line) { (void)line; }
  // The run's model is the one that its folder holds.
  virtual void end(const RunView& run, const TrainResult& result) { (void)run, (void)result; }
};

}  // namespace vitrail
