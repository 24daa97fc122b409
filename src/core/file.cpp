#include "core/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "core/error.h"

namespace vitrail {
namespace {

constexpr size_t kReadStep = size_t{1} << 20;

class Descriptor {
 public:
  explicit Descriptor(const std::filesystem::path& path)
      : value_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return value_; }

 private:
  int value_;
};

[[noreturn]] void fail_to_read(const std::filesystem::path& path, int error_number) {
  if (error_number == ENOENT) fail("file", "{}: no such file", path.string());
  fail("file", "{}: cannot be read: {}", path.string(),
       std::generic_category().message(error_number));
}

}  // namespace

std::vector<std::byte> read_file(const std::filesystem::path& path, uint64_t max_bytes) {
  const Descriptor file(path);
  if (file.get() < 0) fail_to_read(path, errno);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) fail_to_read(path, errno);
  if (S_ISDIR(status.st_mode)) fail("file", "{}: is a directory, not a file", path.string());
  const uint64_t declared = S_ISREG(status.st_mode) ? static_cast<uint64_t>(status.st_size) : 0;
  if (declared > max_bytes)
    fail("file", "{}: has {} bytes, above the limit of {}", path.string(), declared, max_bytes);

  std::vector<std::byte> bytes(static_cast<size_t>(declared));
  size_t filled = 0;
  while (true) {
    // A regular file needs one more read to see its end; a growing one or a pipe needs more room.
    if (filled == bytes.size()) {
      std::byte extra;
      const ssize_t got = ::read(file.get(), &extra, 1);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) fail_to_read(path, errno);
      if (got == 0) break;
      if (filled >= max_bytes)
        fail("file", "{}: has more bytes than the limit of {}", path.string(), max_bytes);
      bytes.resize(filled + static_cast<size_t>(std::min<uint64_t>(kReadStep, max_bytes - filled)));
      bytes[filled++] = extra;
      continue;
    }
    const ssize_t got = ::read(file.get(), bytes.data() + filled, bytes.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_to_read(path, errno);
    if (got == 0) break;
    filled += static_cast<size_t>(got);
  }
  bytes.resize(filled);
  return bytes;
}

}  // namespace vitrail
