#include "formats/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <map>
#include <mutex>
#include <system_error>

#include "core/error.h"

namespace vitrail {
namespace {

// Which addresses are file-backed: dropping pages of any other memory would lose what they hold.
struct Mappings {
  std::mutex mutex;
  std::map<uintptr_t, size_t> ranges;
};

Mappings& mappings() {
  static Mappings* instance = new Mappings;  // outlives tensors of static lifetime
  return *instance;
}

std::string reason(int error_number) {
  return std::generic_category().message(error_number);
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) {
    if (errno == ENOENT) fail("file", "{}: no such file", path.string());
    fail("file", "{}: cannot be read: {}", path.string(), reason(errno));
  }
  struct stat status {};
  const bool known = ::fstat(descriptor, &status) == 0;
  const bool regular = known && S_ISREG(status.st_mode);
  void* data = nullptr;
  int error_number = 0;
  if (regular && status.st_size > 0) {
    size_ = static_cast<size_t>(status.st_size);
    data = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (data == MAP_FAILED) error_number = errno;
  }
  ::close(descriptor);
  if (!regular)
    fail("file", "{}: is {}, not a file", path.string(),
         known && S_ISDIR(status.st_mode) ? "a directory" : "a special file");
  if (error_number != 0)
    fail("file", "{}: cannot be mapped: {}", path.string(), reason(error_number));
  data_ = static_cast<std::byte*>(data);
  if (data_ != nullptr) {
    std::lock_guard lock(mappings().mutex);
    mappings().ranges[reinterpret_cast<uintptr_t>(data_)] = size_;
  }
}

MappedFile::~MappedFile() {
  if (data_ == nullptr) return;
  {
    std::lock_guard lock(mappings().mutex);
    mappings().ranges.erase(reinterpret_cast<uintptr_t>(data_));
  }
  ::munmap(data_, size_);
}

bool MappedFile::contains(const void* data, size_t bytes) {
  const auto begin = reinterpret_cast<uintptr_t>(data);
  std::lock_guard lock(mappings().mutex);
  auto after = mappings().ranges.upper_bound(begin);
  if (after == mappings().ranges.begin()) return false;
  const auto& [start, size] = *--after;
  return bytes <= size && begin - start <= size - bytes;
}

}  // namespace vitrail
