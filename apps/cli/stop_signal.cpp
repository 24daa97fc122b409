#include "apps/cli/stop_signal.h"

#include <atomic>

namespace vitrail::cli {
namespace {

std::atomic<int> noted{0};
std::atomic<bool> urgent{false};

extern "C" void note_signal(int signal) {
  noted = signal;
  if (signal == SIGTERM) urgent = true;
  std::signal(signal, SIG_DFL);
}

}  // namespace

void note_signals(std::initializer_list<int> signals) {
  for (const int signal : signals) std::signal(signal, note_signal);
}

bool stop_asked() {
  return noted != 0;
}

bool stop_is_urgent() {
  return urgent;
}

}  // namespace vitrail::cli
