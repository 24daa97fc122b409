#include "core/memory.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <map>
#include <mutex>
#include <vector>

#include "core/arena.h"
#include "core/error.h"

namespace vitrail {
namespace {

// From here on, blocks come from the arena; smaller ones from the heap, by size.
constexpr size_t kLarge = size_t{64} << 10;

// Eight classes an octave: at most 12.5% of a block is wasted, and nearby shapes share blocks.
size_t size_class(size_t bytes) {
  if (bytes <= 512) return (bytes + kAlignment - 1) / kAlignment * kAlignment;
  const size_t step = bytes >= kLarge ? Arena::kGrain : std::bit_floor(bytes - 1) / 8;
  return (bytes + step - 1) / step * step;
}

class Pool {
 public:
  std::byte* acquire(size_t capacity) {
    std::lock_guard lock(mutex_);
    std::byte* block = find(capacity);
    if (block == nullptr) {
      trim_locked();
      block = find(capacity);
    }
    check(block != nullptr, ErrorCode::out_of_memory, "memory", "the system has no {} bytes left",
          capacity);
    in_use_ += capacity;
    peak_in_use_ = std::max(peak_in_use_, in_use_);
    return block;
  }

  // In destructors: what cannot be kept for want of memory goes back to the system.
  void give_back(std::byte* block, size_t capacity) noexcept {
    std::lock_guard lock(mutex_);
    in_use_ -= capacity;
    if (capacity >= kLarge) return arena_.give_back(block, capacity);
    try {
      small_[capacity].push_back(block);
    } catch (const std::bad_alloc&) {
      std::free(block);
      small_bytes_ -= capacity;
    }
  }

  void trim() {
    std::lock_guard lock(mutex_);
    trim_locked();
  }

  void reset_peak() {
    std::lock_guard lock(mutex_);
    peak_in_use_ = in_use_;
  }

  MemoryStats stats() {
    std::lock_guard lock(mutex_);
    return {.system_allocations = small_allocations_ + arena_.growths(),
            .bytes_in_use = in_use_,
            .bytes_reserved = small_bytes_ + arena_.touched(),
            .peak_in_use = peak_in_use_};
  }

 private:
  std::byte* find(size_t capacity) {
    if (capacity >= kLarge) return arena_.acquire(capacity);
    std::vector<std::byte*>& blocks = small_[capacity];
    if (!blocks.empty()) {
      std::byte* block = blocks.back();
      blocks.pop_back();
      return block;
    }
    auto* block = static_cast<std::byte*>(std::aligned_alloc(kAlignment, capacity));
    if (block == nullptr) return nullptr;
    ++small_allocations_;
    small_bytes_ += capacity;
    return block;
  }

  void trim_locked() {
    arena_.trim();
    for (auto& [capacity, blocks] : small_) {
      for (std::byte* block : blocks) std::free(block);
      small_bytes_ -= capacity * blocks.size();
      blocks.clear();
    }
  }

  std::mutex mutex_;
  Arena arena_;
  std::map<size_t, std::vector<std::byte*>> small_;  // free blocks of the heap
  uint64_t small_allocations_ = 0;
  size_t small_bytes_ = 0;
  size_t in_use_ = 0, peak_in_use_ = 0;
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
void reset_peak_memory() {
  pool().reset_peak();
}
void release_cached_memory() {
  pool().trim();
}

std::shared_ptr<Storage> Storage::allocate(size_t bytes) {
  check(bytes <= (size_t{1} << 46), ErrorCode::too_large, "memory",
        "a tensor of {} bytes is beyond any machine", bytes);
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
