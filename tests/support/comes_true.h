// Waiting for what another thread will do.
#pragma once

#include <chrono>
#include <functional>
#include <thread>

namespace vitrail::testing {

// True once the condition is; false when it is not in minutes, which no other work on the machine
// explains.
inline bool comes_true(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(5);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace vitrail::testing
