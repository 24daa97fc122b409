// What a piece of code allocates: a measure of its memory and, since it does not depend on the
// machine or its load, of its work. Counts operator new of every thread while an object lives;
// allocations of C libraries are not seen. The program links counted_allocations.cpp.
#pragma once

#include <cstddef>

namespace vitrail::testing {

class CountedAllocations {
 public:
  CountedAllocations();  // from zero; one at a time
  ~CountedAllocations();
  CountedAllocations(const CountedAllocations&) = delete;
  CountedAllocations& operator=(const CountedAllocations&) = delete;

  size_t peak() const;   // bytes in use at once, at most
  size_t total() const;  // bytes allocated in all
};

}  // namespace vitrail::testing
