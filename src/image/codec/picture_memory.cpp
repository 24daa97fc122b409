#include "image/codec/picture_memory.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "core/machine.h"

namespace vitrail {
namespace {

struct Account {
  std::mutex mutex;
  std::condition_variable room;
  uint64_t in_use = 0;
};

Account& account() {
  static Account one;
  return one;
}

thread_local int shares_of_this_thread = 0;

}  // namespace

uint64_t picture_memory_limit(uint64_t file_bytes) {
  return std::max(kFreePictureBytes, file_bytes * kPictureBytesPerFileByte);
}

uint64_t picture_memory_budget() {
  static const uint64_t budget =
      std::clamp(machine_memory() / 4, uint64_t{256} << 20, uint64_t{2} << 30);
  return budget;
}

uint64_t picture_memory_in_use() {
  const std::lock_guard lock(account().mutex);
  return account().in_use;
}

PictureMemory::PictureMemory(uint64_t bytes) : bytes_(bytes) {
  if (bytes_ == 0) return;
  Account& all = account();
  std::unique_lock lock(all.mutex);
  if (shares_of_this_thread == 0)
    all.room.wait(
        lock, [&] { return all.in_use == 0 || all.in_use + bytes_ <= picture_memory_budget(); });
  all.in_use += bytes_;
  ++shares_of_this_thread;
}

PictureMemory& PictureMemory::operator=(PictureMemory&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

PictureMemory::~PictureMemory() {
  if (bytes_ == 0) return;
  Account& all = account();
  {
    const std::lock_guard lock(all.mutex);
    all.in_use -= bytes_;
    --shares_of_this_thread;
  }
  all.room.notify_all();
}

}  // namespace vitrail
