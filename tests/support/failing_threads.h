// Threads that the system does not give: the n-th std::thread of the process cannot be made, as on
// a system without more of them. The program links failing_threads.cpp.
#pragma once

#include <cstdint>

namespace vitrail::testing {

class FailingThreads {
 public:
  explicit FailingThreads(int64_t number);
  ~FailingThreads();
  FailingThreads(const FailingThreads&) = delete;
  FailingThreads& operator=(const FailingThreads&) = delete;
};

}  // namespace vitrail::testing
