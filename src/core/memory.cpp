#include "core/memory.h"

#include <sys/mman.h>

#include <bit>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <vector>

#include "core/error.h"

namespace vitrail {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;

// Eight classes an octave: at most 12.5% of a block is wasted, and nearby shapes share blocks.
size_t size_class(size_t bytes) {
  if (bytes <= 512) return (bytes + kAlignment - 1) / kAlignment * kAlignment;
  if (bytes >= kHugePage) return (bytes + kHugePage - 1) / kHugePage * kHugePage;
  const size_t step = std::bit_floor(bytes - 1) / 8;
  return (bytes + step - 1) / step * step;
}

class Pool {
 public:
  std::byte* acquire(size_t capacity) {
    {
      std::lock_guard lock(mutex_);
      auto it = free_.find(capacity);
      if (it != free_.end() && !it->second.empty()) {
        std::byte* block = it->second.back();
        it->second.pop_back();
        count_use(capacity);
        return block;
      }
    }
    std::byte* block = from_system(capacity);
    if (block == nullptr) {
      trim();
      block = from_system(capacity);
    }
    check(block != nullptr, "memory", "the system has no {} bytes left", capacity);
    std::lock_guard lock(mutex_);
    ++stats_.system_allocations;
    stats_.bytes_reserved += capacity;
    count_use(capacity);
    return block;
  }

  void give_back(std::byte* block, size_t capacity) {
    std::lock_guard lock(mutex_);
    free_[capacity].push_back(block);
    stats_.bytes_in_use -= capacity;
  }

  void trim() {
    std::lock_guard lock(mutex_);
    for (auto& [capacity, blocks] : free_) {
      for (std::byte* block : blocks) to_system(block, capacity);
      stats_.bytes_reserved -= capacity * blocks.size();
      blocks.clear();
    }
  }

  MemoryStats stats() {
    std::lock_guard lock(mutex_);
    return stats_;
  }

 private:
  void count_use(size_t capacity) {
    stats_.bytes_in_use += capacity;
    stats_.peak_in_use = std::max(stats_.peak_in_use, stats_.bytes_in_use);
  }

  // Large blocks come straight from the kernel, on huge pages where it has them: touching a fresh
  // 4 KiB page costs microseconds on a virtual machine.
  static std::byte* from_system(size_t capacity) {
    const size_t alignment = capacity >= kHugePage ? kHugePage : kAlignment;
    auto* block = static_cast<std::byte*>(std::aligned_alloc(alignment, capacity));
    if (block != nullptr && capacity >= kHugePage) madvise(block, capacity, MADV_HUGEPAGE);
    return block;
  }
  static void to_system(std::byte* block, size_t) { std::free(block); }

  std::mutex mutex_;
  std::map<size_t, std::vector<std::byte*>> free_;
  MemoryStats stats_;
};

// Never destroyed: tensors with static lifetime may outlive any order of destruction.
Pool& pool() {
  static Pool* instance = new Pool;
  return *instance;
}

}  // namespace

MemoryStats memory_stats() {
  return pool().stats();
}
void release_cached_memory() {
  pool().trim();
}

std::shared_ptr<Storage> Storage::allocate(size_t bytes) {
  check(bytes <= (size_t{1} << 46), "memory", "a tensor of {} bytes is beyond any machine", bytes);
  std::shared_ptr<Storage> storage(new Storage);
  const size_t capacity = size_class(std::max<size_t>(bytes, 1));
  storage->data_ = pool().acquire(capacity);
  storage->bytes_ = bytes;
  storage->capacity_ = capacity;
  return storage;
}

std::shared_ptr<Storage> Storage::wrap(void* data, size_t bytes, std::shared_ptr<void> keep_alive,
                                       bool read_only) {
  std::shared_ptr<Storage> storage(new Storage);
  storage->data_ = static_cast<std::byte*>(data);
  storage->bytes_ = bytes;
  storage->read_only_ = read_only;
  storage->keep_alive_ = std::move(keep_alive);
  return storage;
}

Storage::~Storage() {
  if (capacity_ != 0) pool().give_back(data_, capacity_);
}

}  // namespace vitrail
