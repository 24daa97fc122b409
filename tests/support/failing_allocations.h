// Memory and threads that the system does not give: the n-th operator new of the process, of every
// thread, throws std::bad_alloc; so does the n-th std::thread, as on a system without more of them.
// The program links failing_allocations.cpp.
#pragma once

#include <cstdint>

namespace vitrail::testing {

enum class Failing : uint8_t {
  once,         // one allocation fails, and those after it succeed
  from_then_on  // memory is out
};

class FailingAllocations {
 public:
  // The first is number 0.
  FailingAllocations(int64_t number, Failing how);
  ~FailingAllocations();
  FailingAllocations(const FailingAllocations&) = delete;
  FailingAllocations& operator=(const FailingAllocations&) = delete;

  bool failed() const;  // whether it came so far
};

class FailingThreads {
 public:
  explicit FailingThreads(int64_t number);
  ~FailingThreads();
  FailingThreads(const FailingThreads&) = delete;
  FailingThreads& operator=(const FailingThreads&) = delete;
};

}  // namespace vitrail::testing
