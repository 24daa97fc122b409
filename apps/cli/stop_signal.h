// Signals that ask a run to end: it writes a checkpoint first.
#pragma once

#include <csignal>
#include <initializer_list>

namespace vitrail::cli {

// All by which people, terminals, shells and schedulers end a program, but for SIGKILL.
inline constexpr std::initializer_list<int> kStopSignals = {
    SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGXCPU, SIGALRM, SIGVTALRM};

// The first such signal is noted; the second one ends the program as usual. SIGHUP and SIGQUIT stay
// ignored where they are, as nohup has it.
void note_stop_signals();
bool stop_asked();
// By SIGTERM, which mpirun and others follow up with SIGKILL within a second.
bool stop_is_urgent();

}  // namespace vitrail::cli
