// PreparedAhead: a value that a pool's idle threads prepare while the caller does something else.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include "core/parallel.h"

namespace vitrail {

template <typename Value>
class PreparedAhead {
 public:
  // write(i, value) once for each i in [0, count), from the pool's threads, which must outlive
  // this.
  PreparedAhead(ThreadPool& pool, Value begun, int64_t count,
                std::function<void(int64_t, Value&)> write)
      : pool_(pool),
        value_(std::move(begun)),
        work_(count, [this, write = std::move(write)](int64_t i) { write(i, value_); }) {
    pool_.offer(work_);
  }
  ~PreparedAhead() { pool_.withdraw(work_); }  // ended, whatever happens
  PreparedAhead(const PreparedAhead&) = delete;
  PreparedAhead& operator=(const PreparedAhead&) = delete;

  // Does what is left on all threads; once. Rethrows what write() threw.
  Value finish() {
    pool_.finish(work_);
    return std::move(value_);
  }

 private:
  ThreadPool& pool_;
  Value value_;
  SpareWork work_;
};

}  // namespace vitrail
