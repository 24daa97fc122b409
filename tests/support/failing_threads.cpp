#include "support/failing_threads.h"

#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#include <cerrno>

namespace {

constexpr int64_t kAllThreads = -1;
std::atomic<int64_t> threads_left{kAllThreads};

}  // namespace

// A sanitizer has a pthread_create of its own, which must be the one that is called. libstdc++
// calls the program's only where it is visible, and the build hides what does not say that it is.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
extern "C" __attribute__((visibility("default"))) int pthread_create(
    pthread_t* thread, const pthread_attr_t* attributes, void* (*body)(void*), void* argument) {
  using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const auto create = reinterpret_cast<Create>(dlsym(RTLD_NEXT, "pthread_create"));
  if (threads_left.load() != kAllThreads && threads_left.fetch_sub(1) <= 0) {
    threads_left = 0;
    return EAGAIN;
  }
  return create(thread, attributes, body, argument);
}
#endif

namespace vitrail::testing {

FailingThreads::FailingThreads(int64_t number) {
  threads_left = number;
}
FailingThreads::~FailingThreads() {
  threads_left = kAllThreads;
}

}  // namespace vitrail::testing
