// Queue: where kernels are sent. On the CPU it is a thread pool and work is done on return; on a
// GPU it will be a stream, so no kernel hands a value back to the host.
#pragma once

#include "core/parallel.h"
#include "core/tensor.h"

namespace vitrail {

class Queue {
 public:
  explicit Queue(int threads = 0) : pool_(threads) {}  // threads <= 0: all cores
  Device device() const { return {}; }
  ThreadPool& pool() { return pool_; }

 private:
  ThreadPool pool_;
};

}  // namespace vitrail
