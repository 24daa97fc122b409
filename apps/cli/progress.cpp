#include "apps/cli/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "apps/cli/standard_streams.h"

namespace vitrail::cli {
namespace {

constexpr double kLineSeconds = 60, kLineShare = 0.1;
constexpr double kRedrawSeconds = 0.1;
constexpr double kQuietSeconds = 10;  // work that is done by then says nothing in a log

bool is_quiet = false;  // set while the arguments are read, before anything else runs

// What does not fit would wrap, and a wrapped line cannot be drawn over.
std::string cut_to_terminal(std::string text) {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 &&
      text.size() >= size.ws_col)
    text.resize(size.ws_col - 1u);
  return text;
}

}  // namespace

void be_quiet() {
  is_quiet = true;
}

bool quiet() {
  return is_quiet;
}

std::string clock_text(double seconds) {
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  return whole >= 3600 ? fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60)
                       : fmt::format("{}:{:02}", whole / 60, whole % 60);
}

std::string bar_text(double share, int width) {
  const auto filled = static_cast<size_t>(std::clamp(share, 0.0, 1.0) * width);
  return fmt::format("[{}{}]", std::string(filled, '#'),
                     std::string(static_cast<size_t>(width) - filled, '.'));
}

bool LogPace::due(double position, double seconds) {
  constexpr double kRounding = 1e-9;
  const bool now = position_ ? seconds - seconds_ >= kLineSeconds &&
                                   position - *position_ >= kLineShare - kRounding
                             : seconds >= first_seconds_;
  if (!now) return false;
  position_ = position;
  seconds_ = seconds;
  return true;
}

ProgressLine::ProgressLine(double first_seconds)
    : pace_(first_seconds), terminal_(::isatty(STDERR_FILENO) != 0) {}

double ProgressLine::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
}

void ProgressLine::show(double position, const std::function<std::string(bool)>& text) {
  if (quiet()) return;
  const double now = seconds();
  if (!terminal_) {
    if (pace_.due(position, now)) print_stderr("{}\n", text(false));
    return;
  }
  if (drawn_ && now - drawn_at_ < kRedrawSeconds) return;
  print_stderr("\r\x1b[K{}", cut_to_terminal(text(true)));
  std::fflush(stderr);
  drawn_at_ = now;
  drawn_ = true;
}

void ProgressLine::clear() {
  if (drawn_) print_stderr("\r\x1b[K");
  drawn_ = false;
}

Progress::Progress(std::string what, int64_t total)
    : what_(std::move(what)), total_(total), line_(kQuietSeconds) {}

void Progress::update(int64_t done) {
  if (total_ <= 0) return;
  const double share = static_cast<double>(done) / static_cast<double>(total_);
  line_.show(share, [&](bool terminal) {
    const double passed = line_.seconds();
    std::string speed;
    if (done > 0 && passed > 0)
      speed = fmt::format("  {:.0f}/s  {} left", static_cast<double>(done) / passed,
                          clock_text(passed / share - passed));
    return terminal ? fmt::format("{} {} {}/{}{}", what_, bar_text(share, 30), done, total_, speed)
                    : fmt::format("{} {}/{} ({:.0f}%){}", what_, done, total_, 100 * share, speed);
  });
}

bool results_are_progress() {
  return ::isatty(STDOUT_FILENO) != 0;
}

}  // namespace vitrail::cli
