#include "support/failing_allocations.h"

#include <dlfcn.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <new>

namespace {

constexpr int64_t kNever = -1;

// Left until one fails; kNever: none does.
std::atomic<int64_t> allocations_left{kNever};
std::atomic<size_t> smallest{0};
std::atomic<bool> stays_out{false};
std::atomic<bool> has_failed{false};
std::atomic<int64_t> threads_left{kNever};

bool fails(size_t bytes) {
  if (bytes < smallest || allocations_left.load(std::memory_order_relaxed) == kNever) return false;
  const int64_t left = allocations_left.fetch_sub(1);
  if (left > 0) return false;
  has_failed = true;
  if (stays_out)
    allocations_left = 0;
  else
    allocations_left = kNever;
  return true;
}

}  // namespace

void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  return fails(bytes) ? nullptr : std::malloc(bytes == 0 ? 1 : bytes);
}
void* operator new(size_t bytes) {
  void* block = operator new(bytes, std::nothrow);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}
void* operator new(size_t bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  void* block = nullptr;
  const size_t at_least = std::max(static_cast<size_t>(alignment), sizeof(void*));
  if (fails(bytes) || posix_memalign(&block, at_least, bytes == 0 ? 1 : bytes) != 0) return nullptr;
  return block;
}
void* operator new(size_t bytes, std::align_val_t alignment) {
  void* block = operator new(bytes, alignment, std::nothrow);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}
void* operator new[](size_t bytes) {
  return operator new(bytes);
}
void* operator new[](size_t bytes, const std::nothrow_t&) noexcept {
  return operator new(bytes, std::nothrow);
}
void* operator new[](size_t bytes, std::align_val_t alignment) {
  return operator new(bytes, alignment);
}
void* operator new[](size_t bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return operator new(bytes, alignment, std::nothrow);
}

void operator delete(void* block) noexcept {
  std::free(block);
}
#define VITRAIL_DELETE(...)                      \
  void operator delete(__VA_ARGS__) noexcept {   \
    std::free(block);                            \
  }                                              \
  void operator delete[](__VA_ARGS__) noexcept { \
    std::free(block);                            \
  }
VITRAIL_DELETE(void* block, size_t)
VITRAIL_DELETE(void* block, std::align_val_t)
VITRAIL_DELETE(void* block, size_t, std::align_val_t)
VITRAIL_DELETE(void* block, const std::nothrow_t&)
VITRAIL_DELETE(void* block, std::align_val_t, const std::nothrow_t&)
#undef VITRAIL_DELETE
void operator delete[](void* block) noexcept {
  std::free(block);
}

// A sanitizer has a pthread_create of its own, which must be the one that is called.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                              void* (*body)(void*), void* argument) {
  using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const auto create = reinterpret_cast<Create>(dlsym(RTLD_NEXT, "pthread_create"));
  if (threads_left.load() != kNever && threads_left.fetch_sub(1) <= 0) {
    threads_left = 0;
    return EAGAIN;
  }
  return create(thread, attributes, body, argument);
}
#endif

namespace vitrail::testing {

FailingAllocations::FailingAllocations(int64_t number, Failing how, size_t at_least) {
  smallest = at_least;
  stays_out = how == Failing::from_then_on;
  has_failed = false;
  allocations_left = number;
}
FailingAllocations::~FailingAllocations() {
  allocations_left = kNever;
}
bool FailingAllocations::failed() const {
  return has_failed;
}

FailingThreads::FailingThreads(int64_t number) {
  threads_left = number;
}
FailingThreads::~FailingThreads() {
  threads_left = kNever;
}

}  // namespace vitrail::testing
