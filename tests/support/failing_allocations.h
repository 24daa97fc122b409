// Memory and threads that the system does not give: the n-th operator new of the process, of every
// thread, throws std::bad_alloc; so does the n-th std::thread, as on a system without more of them.
// The program links failing_allocations.cpp.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vitrail::testing {

enum class Failing : uint8_t {
  once,         // one allocation fails, and those after it succeed
  from_then_on  // memory is out
};

class FailingAllocations {
 public:
  // The first is number 0; those of fewer bytes succeed and are not counted.
  FailingAllocations(int64_t number, Failing how, size_t at_least = 0);
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
