// RunLog: what a run says of itself, step after step, for programs and for people:
//   metrics.jsonl              one JSON object a line, in the order of steps
//   events.out.tfevents.*      the same numbers for TensorBoard, a file a process
//   machine.jsonl              one line a process: what it ran on
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "train/judge/metrics.h"
#include "train/run/tensorboard.h"

namespace vitrail {

// Where a process takes a run up: `step` steps and `epochs` epochs are done.
struct RunPosition {
  int64_t step = 0, epochs = 0;
};

class RunLog {
 public:
  // The files are made when the run begins; until then nothing is touched.
  explicit RunLog(const std::filesystem::path& folder);

  // Cuts metrics.jsonl back to the position (as cut_metrics does) and begins an event file that
  // says the same. Error: a file cannot be written.
  void begin(const RunPosition& position);
  // What this process runs on: a processor, its cores and instruction set, and what `more` adds.
  void machine(const RunPosition& position, nlohmann::json more) const;
  // A line with "kind" ("step", "epoch", ...) and "step". Numbers go to TensorBoard as "train/loss"
  // (kind step), "epoch/loss", and those of an object within as "val/loss".
  void append(const nlohmann::json& line) const;
  void picture(int64_t step, const std::string& tag, const Image& picture) const;

 private:
  std::filesystem::path folder_;
  LineFile metrics_;
  std::vector<EventFile> events_;  // none before begin(), then one
};

// The instruction set that the run's last process computed with, by machine.jsonl; empty: unknown.
std::string isa_of_run(const std::filesystem::path& folder);

// The scalars of a line of metrics. A number that was not finite stands there as null, and is NaN.
std::vector<NamedScalar> scalars_of(const nlohmann::json& line);

}  // namespace vitrail
