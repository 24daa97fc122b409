// Reports as files: of a run from its folder, of an evaluation.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "data/dataset.h"
#include "infer/session.h"
#include "tasks/evaluate.h"
#include "train/run/run_data.h"

namespace vitrail {

struct RunReportOptions {
  // Judges the folder's model and shows its mistakes with their attention, and training pictures;
  // without, the page is made of the run's records alone, in milliseconds.
  bool pictures = true;
  std::string data;                 // where the pictures are now; empty: where the run had them
  const RunData* opened = nullptr;  // the run's pictures, of a caller that has just used them
  int64_t limit = 0;                // judge the first so many pictures; 0: all
  int threads = 0;
  bool running = false;  // the run goes on
  std::function<void(int64_t done, int64_t total)> progress;
};

// How many of the worst mistakes, and of the training pictures, a page shows.
inline constexpr int64_t kShownMistakes = 24;
inline constexpr int64_t kShownSamples = 24;

// Writes the page of the run in a folder. Pictures or a model that are missing leave a note on the
// page. Error: no run there, or the page cannot be written.
void write_run_report(const std::filesystem::path& run, const std::filesystem::path& page,
                      const RunReportOptions& options = {});

struct EvaluationReport {
  std::filesystem::path page;
  int64_t learned = 0;  // of the pictures, how many the model is known to have learned from
  std::string explain;  // the command that shows where this model's attention goes; empty: none
};
// `result` has kept the mistakes that the page is to show. Error: the page cannot be written.
void write_evaluation_report(Session& session, const Dataset& dataset,
                             const EvaluationResult& result, const EvaluationReport& report);

}  // namespace vitrail
