// The program's operator new, which counts and can fail. It sees the allocations of every thread,
// and not those of C libraries. The program links allocations.cpp.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vitrail::testing {

// What is allocated while an object lives: a measure of a piece of code's memory and, since it does
// not depend on the machine or its load, of its work.
class CountedAllocations {
 public:
  CountedAllocations();  // from zero; one at a time
  ~CountedAllocations();
  CountedAllocations(const CountedAllocations&) = delete;
  CountedAllocations& operator=(const CountedAllocations&) = delete;

  size_t peak() const;   // bytes in use at once, at most
  size_t total() const;  // bytes allocated in all
};

enum class Failing : uint8_t {
  once,         // one allocation fails, and those after it succeed
  from_then_on  // memory is out
};

// Memory that the system does not give: the n-th operator new throws std::bad_alloc while an object
// lives.
class FailingAllocations {
 public:
  // The first is number 0; those of fewer bytes succeed and are not counted.
  FailingAllocations(int64_t number, Failing how, size_t at_least = 0);
  ~FailingAllocations();
  FailingAllocations(const FailingAllocations&) = delete;
  FailingAllocations& operator=(const FailingAllocations&) = delete;

  bool failed() const;  // whether it came so far
};

}  // namespace vitrail::testing
