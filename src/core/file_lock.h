// Locks among processes: flock on a file, as Python's filelock has it. The kernel releases them
// when their process ends, however it ends.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace vitrail {

class FileLock {
 public:
  // Waits until nobody else holds it; on_wait is told first when somebody does. Error: the file
  // cannot be made, or is no regular one.
  explicit FileLock(const std::filesystem::path& path, const std::function<void()>& on_wait = {});
  // Nothing: somebody else holds it. Error: as above.
  static std::unique_ptr<FileLock> try_lock(const std::filesystem::path& path);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

  // What the file holds from now on, for those who are refused. Error: it cannot be written.
  void write(std::string_view text);
  // Why nothing is locked, of a file system without locks; empty: it is.
  const std::string& why_not() const { return why_not_; }
  // The file goes with the lock.
  void remove_at_end() { remove_ = true; }

 private:
  FileLock() = default;
  bool take(const std::filesystem::path& path, bool wait, const std::function<void()>& on_wait);

  std::filesystem::path path_;
  std::string why_not_;
  int descriptor_ = -1;
  bool remove_ = false;
};

// A folder that one process at a time writes into: a training run's, a model's. The lock is a file
// in it, .vitrail.lock, which says who holds it and is gone when nobody does.
class FolderLock {
 public:
  // Makes the folder where it is missing. `what` names the work: "train". Error: the folder cannot
  // be made or written into, or another process holds it (the message says which, where and since
  // when).
  FolderLock(const std::filesystem::path& folder, const std::string& what);
  ~FolderLock();  // a folder that it made and that is empty goes
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  std::filesystem::path made_;
  std::unique_ptr<FileLock> lock_;
};

}  // namespace vitrail
