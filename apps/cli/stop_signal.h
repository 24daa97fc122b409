// Signals that ask a run to end: it writes a checkpoint first.
#pragma once

#include <csignal>
#include <initializer_list>

namespace vitrail::cli {

// The first such signal is noted; the second one ends the program as usual.
void note_signals(std::initializer_list<int> signals = {SIGINT, SIGTERM});
bool stop_asked();
// By SIGTERM, which mpirun and others follow up with SIGKILL within a second.
bool stop_is_urgent();

}  // namespace vitrail::cli
