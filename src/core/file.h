// Files that are read. All of the library opens them here, so that a pipe, a device or a socket
// under a file's name is refused at once: opening or reading one may wait for ever.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace vitrail {

// A regular file open for reading; links are followed. Any number of threads may read.
class InputFile {
 public:
  // Error: missing, not readable, or of another kind (a directory, a pipe, a socket, a device).
  explicit InputFile(const std::filesystem::path& path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  uint64_t size() const { return size_; }  // when it was opened
  // Fills `to` from `offset` on. Error: it cannot be read, or ends before (somebody shortened it).
  void read(uint64_t offset, std::span<std::byte> to) const;
  // As many bytes as there are, at most to.size(); fewer only at the file's end.
  size_t read_some(uint64_t offset, std::span<std::byte> to) const;
  // Error unless size and time of change are those of when it was opened.
  void check_unchanged() const;
  // Another descriptor of the file, at its beginning, for a library that closes it. Error: none is
  // left.
  int duplicate() const;
  const std::string& place() const { return place_; }  // its path, fit for a message

 private:
  std::string place_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
  int64_t changed_ = 0;  // nanoseconds
};

// Error: as InputFile, or larger than max_bytes. An empty file gives no bytes.
std::vector<std::byte> read_file(const std::filesystem::path& path, uint64_t max_bytes);

}  // namespace vitrail
