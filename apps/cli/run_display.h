// A training run on the terminal or in a log file, and its page in the run's folder: what the verbs
// that train have in common.
#pragma once

#include <filesystem>
#include <string>

#include "apps/cli/progress.h"
#include "train/run/trainer.h"

namespace vitrail::cli {

class RunDisplay {
 public:
  // Shows the run of these options, which must stay where they are; writes report.html after each
  // epoch, from the records alone.
  explicit RunDisplay(RunOptions& options);
  RunDisplay(const RunDisplay&) = delete;
  RunDisplay& operator=(const RunDisplay&) = delete;

  void clear() { line_.clear(); }
  // The run is over, well or not: its last page, with the model's mistakes on pictures where they
  // are wanted; `data`: these pictures, where they are open. A page that cannot be made is a
  // warning, since the model is there.
  void finish(bool pictures, const RunData* data = nullptr);

 private:
  bool speaks() const;  // one of the processes that train together
  void show_step(const TrainProgress& progress);
  void write_page(bool pictures, bool running, const RunData* data = nullptr);

  const RunOptions& options_;
  ProgressLine line_{0};
  bool begun_ = false;
};

// Where the page of a run lies.
std::filesystem::path report_path(const std::filesystem::path& run);

}  // namespace vitrail::cli
