// Storage: the bytes behind tensors. Blocks are 64-byte aligned and return to a process-wide pool,
// so a second pass over the same shapes asks the system for nothing. Large blocks lie side by side
// on huge pages and join when they are free (core/arena.h); small ones are kept by size.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

namespace vitrail {

inline constexpr size_t kAlignment = 64;

struct MemoryStats {
  uint64_t system_allocations = 0;  // times memory was handed out that was not touched before
  size_t bytes_in_use = 0;          // handed out now
  size_t bytes_reserved = 0;        // handed out plus cached
  size_t peak_in_use = 0;
};
MemoryStats memory_stats();
// From now on peak_in_use is what is in use at most from now on.
void reset_peak_memory();
// Gives every cached block back to the system.
void release_cached_memory();

class Storage {
 public:
  // Pooled, uninitialised. Error: the system has no memory left.
  static std::shared_ptr<Storage> allocate(size_t bytes);
  // Memory owned by somebody else (a file in memory, a caller's frame); keep_alive lives as long.
  static std::shared_ptr<Storage> wrap(void* data, size_t bytes, std::shared_ptr<void> keep_alive,
                                       bool read_only);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  std::byte* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  bool read_only() const { return read_only_; }
  bool pooled() const { return capacity_ != 0; }

  // Counts in-place changes; what was saved for a backward pass checks it.
  uint64_t version() const { return version_.load(std::memory_order_relaxed); }
  void bump_version() { version_.fetch_add(1, std::memory_order_relaxed); }

 private:
  Storage() = default;
  std::byte* data_ = nullptr;
  size_t bytes_ = 0;
  size_t capacity_ = 0;  // 0: wrapped, not the pool's
  bool read_only_ = false;
  std::atomic<uint64_t> version_{0};
  std::shared_ptr<void> keep_alive_;
};

}  // namespace vitrail
