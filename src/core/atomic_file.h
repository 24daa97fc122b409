// Files that appear whole or not at all: written beside the target, synced, then renamed over it.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace vitrail {

// Every Error names the path and the system's reason (no such folder, no space left, ...).
class AtomicFile {
 public:
  // Opens a temporary file in the target's folder. Error: it cannot be made there.
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();  // without commit(), the temporary file is removed
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);  // appends. Error: a full disk, ...
  void write(std::string_view text);
  // Syncs, renames over the target and syncs the folder. Nothing may be written afterwards.
  void commit();

  const std::filesystem::path& path() const { return path_; }

 private:
  [[noreturn]] void fail_with(const char* action, int error_number);

  std::filesystem::path path_;
  std::string temporary_;
  int descriptor_ = -1;
  bool committed_ = false;
};

void write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes);
// Removes a temporary file whose writer is gone; one that is being written (it is locked) stays.
void remove_if_abandoned(const std::filesystem::path& temporary);
// Error: the folder has no room for `bytes` more: on the disk, or by the limit on a file's size
// (ulimit -f). `what` names what will take them. A disk whose room is not known has it.
void check_room(const std::filesystem::path& folder, uint64_t bytes, const std::string& what);
void write_file_atomically(const std::filesystem::path& path, std::string_view text);

// With those above it; one that is there stays. Error: it cannot be made.
void make_folders(const std::filesystem::path& folder);
// The system's own words for an errno: "No space left on device".
std::string system_reason(int error_number);

}  // namespace vitrail
