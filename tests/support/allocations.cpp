#include "support/allocations.h"

#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<bool> counting{false};
std::atomic<ptrdiff_t> in_use{0};
std::atomic<ptrdiff_t> most{0};
std::atomic<size_t> in_all{0};

constexpr int64_t kNever = -1;
std::atomic<int64_t> until_failure{kNever};  // allocations; kNever: none fails
std::atomic<size_t> smallest{0};
std::atomic<bool> stays_out{false};
std::atomic<bool> has_failed{false};

bool fails(size_t bytes) {
  if (bytes < smallest || until_failure.load(std::memory_order_relaxed) == kNever) return false;
  if (until_failure.fetch_sub(1) > 0) return false;
  has_failed = true;
  until_failure = stays_out ? 0 : kNever;
  return true;
}

void count(void* block) {
  if (!counting.load(std::memory_order_relaxed)) return;
  const auto bytes = static_cast<ptrdiff_t>(malloc_usable_size(block));
  const ptrdiff_t now = in_use.fetch_add(bytes) + bytes;
  in_all.fetch_add(static_cast<size_t>(bytes));
  ptrdiff_t before = most.load();
  while (before < now && !most.compare_exchange_weak(before, now)) {
  }
}

void discount(void* block) {
  if (counting.load(std::memory_order_relaxed))
    in_use.fetch_sub(static_cast<ptrdiff_t>(malloc_usable_size(block)));
}

}  // namespace

// Every form there is: under a sanitizer those left out would be its own, and what one of them gave
// may not come back through another.
void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  void* block = fails(bytes) ? nullptr : std::malloc(bytes == 0 ? 1 : bytes);
  if (block != nullptr) count(block);
  return block;
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
  count(block);
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
  if (block == nullptr) return;
  discount(block);
  std::free(block);
}
#define VITRAIL_DELETE(...)                      \
  void operator delete(__VA_ARGS__) noexcept {   \
    operator delete(block);                      \
  }                                              \
  void operator delete[](__VA_ARGS__) noexcept { \
    operator delete(block);                      \
  }
VITRAIL_DELETE(void* block, size_t)
VITRAIL_DELETE(void* block, std::align_val_t)
VITRAIL_DELETE(void* block, size_t, std::align_val_t)
VITRAIL_DELETE(void* block, const std::nothrow_t&)
VITRAIL_DELETE(void* block, std::align_val_t, const std::nothrow_t&)
#undef VITRAIL_DELETE
void operator delete[](void* block) noexcept {
  operator delete(block);
}

namespace vitrail::testing {

CountedAllocations::CountedAllocations() {
  in_use = most = 0;
  in_all = 0;
  counting = true;
}
CountedAllocations::~CountedAllocations() {
  counting = false;
}
size_t CountedAllocations::peak() const {
  return static_cast<size_t>(most.load());
}
size_t CountedAllocations::total() const {
  return in_all.load();
}

FailingAllocations::FailingAllocations(int64_t number, Failing how, size_t at_least) {
  smallest = at_least;
  stays_out = how == Failing::from_then_on;
  has_failed = false;
  until_failure = number;
}
FailingAllocations::~FailingAllocations() {
  until_failure = kNever;
}
bool FailingAllocations::failed() const {
  return has_failed;
}

}  // namespace vitrail::testing
