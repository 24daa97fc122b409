// A lock among processes: flock on a file, as Python's filelock has it.
#pragma once

#include <filesystem>

namespace vitrail {

class FileLock {
 public:
  // Waits until nobody else holds it, saying so after a moment. Error: the file cannot be made.
  explicit FileLock(const std::filesystem::path& path);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int descriptor_ = -1;
};

}  // namespace vitrail
