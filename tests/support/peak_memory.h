// How much memory something takes at its highest, measured in a process of its own.
#pragma once

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <functional>

namespace vitrail::testing {

// The sanitizers' own shadows and quarantines are no part of what is measured.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kMemoryIsOurs = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool kMemoryIsOurs = false;
#else
inline constexpr bool kMemoryIsOurs = true;
#endif
#else
inline constexpr bool kMemoryIsOurs = true;
#endif

struct Cost {
  bool succeeded = false;  // `work` returned true
  uint64_t bytes = 0;      // resident at most, beyond what the process had before
  double seconds = 0;      // of the processor, so that other work on the machine does not count
};

// Runs `work` in a child. Threads of the parent do not live on in it.
inline Cost cost_of(const std::function<bool()>& work) {
  rusage before{};
  const pid_t child = ::fork();
  if (child == 0) ::_exit(work() ? 0 : 1);
  // What a child begins with: the parent's pages, at most.
  ::getrusage(RUSAGE_SELF, &before);
  int status = 0;
  rusage after{};
  ::wait4(child, &status, 0, &after);
  const auto grown = static_cast<uint64_t>(after.ru_maxrss) * 1024;
  const auto base = static_cast<uint64_t>(before.ru_maxrss) * 1024;
  return {.succeeded = WIFEXITED(status) && WEXITSTATUS(status) == 0,
          .bytes = grown > base ? grown - base : 0,
          .seconds = static_cast<double>(after.ru_utime.tv_sec + after.ru_stime.tv_sec) +
                     1e-6 * static_cast<double>(after.ru_utime.tv_usec + after.ru_stime.tv_usec)};
}

}  // namespace vitrail::testing
