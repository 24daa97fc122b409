// How far long work is, on stderr: on a terminal a bar that is drawn over itself, elsewhere (a log
// file) a plain line now and then. stdout stays the results'.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace vitrail::cli {

// --quiet: from here on nothing of this, and no notes.
void be_quiet();
bool quiet();

// "1:02:03", "4:05"
std::string clock_text(double seconds);
// "[########......]" of `width` places.
std::string bar_text(double share, int width);

// When a log gets a line: the first one after `first_seconds`, then whenever both a minute and a
// tenth of the work have passed since the last one.
class LogPace {
 public:
  explicit LogPace(double first_seconds) : first_seconds_(first_seconds) {}
  // `position` counts the work done, 1 for the whole (for training: an epoch). True: the line is
  // due, and taken as written.
  bool due(double position, double seconds);

 private:
  double first_seconds_;
  std::optional<double> position_;  // of the last line
  double seconds_ = 0;
};

// The line itself, on whichever of the two stderr is.
class ProgressLine {
 public:
  explicit ProgressLine(double first_seconds);
  ~ProgressLine() { clear(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  // text(terminal) is asked for only when it will be shown.
  void show(double position, const std::function<std::string(bool terminal)>& text);
  void clear();  // before anything else is printed
  double seconds() const;

 private:
  LogPace pace_;
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  double drawn_at_ = -1;
  bool terminal_;
  bool drawn_ = false;
};

// The progress of a verb that does `total` things of one kind; short work leaves no line in a log.
class Progress {
 public:
  Progress(std::string what, int64_t total);
  void update(int64_t done);
  void clear() { line_.clear(); }

 private:
  std::string what_;
  int64_t total_;
  ProgressLine line_;
};

// On one terminal, results that are printed as they come are the progress.
bool results_are_progress();

}  // namespace vitrail::cli
