#include "apps/cli/stop_signal.h"

#include <atomic>

namespace vitrail::cli {
namespace {

std::atomic<int> noted{0};
std::atomic<bool> urgent{false};

extern "C" void note_signal(int signal) {
  noted = signal;
  if (signal == SIGTERM) urgent = true;
  // A window that closes sends SIGHUP twice: the terminal, and the shell that it ends.
  if (signal != SIGHUP) std::signal(signal, SIG_DFL);
}

}  // namespace

void note_stop_signals() {
  for (const int signal : kStopSignals) {
    const auto before = std::signal(signal, note_signal);
    if (before == SIG_IGN && (signal == SIGHUP || signal == SIGQUIT)) std::signal(signal, SIG_IGN);
  }
}

bool stop_asked() {
  return noted != 0;
}

bool stop_is_urgent() {
  return urgent;
}

}  // namespace vitrail::cli
