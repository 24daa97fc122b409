#include "core/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "core/error.h"
#include "core/printable.h"

namespace vitrail {
namespace {

constexpr size_t kReadStep = size_t{1} << 20;

[[noreturn]] void fail_to_read(const std::string& place, int error_number) {
  if (error_number == ENOENT || error_number == ENOTDIR)
    fail(ErrorCode::not_found, "file", "{}: no such file", place);
  if (error_number == ENOMEM)
    fail(ErrorCode::out_of_memory, "file", "{}: cannot be read: {}", place,
         std::generic_category().message(error_number));
  fail(ErrorCode::io, "file", "{}: cannot be read: {}", place,
       std::generic_category().message(error_number));
}

// Nothing: a regular file.
const char* other_kind(mode_t mode) {
  if (S_ISREG(mode)) return nullptr;
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

void refuse_other_kinds(const std::string& place, mode_t mode) {
  if (const char* kind = other_kind(mode)) fail("file", "{}: is {}, not a file", place, kind);
}

int64_t time_of_change(const struct stat& status) {
  return int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
}

}  // namespace

InputFile::InputFile(const std::filesystem::path& path) : place_(printable(path.string(), 4096)) {
  // The system would read the name up to there, which is another file's.
  if (path.native().find('\0') != std::string::npos)
    fail("file", "{}: no file has a zero byte in its name", place_);
  struct stat status {};
  // Before it is opened, since opening a device may do something; and again after, since another
  // file may have come in between. Without O_NONBLOCK a pipe would wait for its writer.
  if (::stat(path.c_str(), &status) != 0) fail_to_read(place_, errno);
  refuse_other_kinds(place_, status.st_mode);
  descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (descriptor_ < 0) fail_to_read(place_, errno);
  const int error_number = ::fstat(descriptor_, &status) == 0 ? 0 : errno;
  if (error_number != 0 || other_kind(status.st_mode) != nullptr) {
    ::close(descriptor_);  // the destructor does not run
    if (error_number != 0) fail_to_read(place_, error_number);
    refuse_other_kinds(place_, status.st_mode);
  }
  size_ = static_cast<uint64_t>(status.st_size);
  changed_ = time_of_change(status);
}

InputFile::~InputFile() {
  ::close(descriptor_);
}

size_t InputFile::read_some(uint64_t offset, std::span<std::byte> to) const {
  size_t filled = 0;
  while (filled < to.size()) {
    const ssize_t got = ::pread(descriptor_, to.data() + filled, to.size() - filled,
                                static_cast<off_t>(offset + filled));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_to_read(place_, errno);
    if (got == 0) break;
    filled += static_cast<size_t>(got);
  }
  return filled;
}

void InputFile::read(uint64_t offset, std::span<std::byte> to) const {
  const size_t got = read_some(offset, to);
  if (got == to.size()) return;
  if (offset + got < size_)
    fail("file", "{}: has {} bytes and had {} when it was opened: somebody changes it", place_,
         offset + got, size_);
  fail("file", "{}: ends at {} bytes, within what is read: truncated?", place_, offset + got);
}

void InputFile::check_unchanged() const {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) fail_to_read(place_, errno);
  if (static_cast<uint64_t>(status.st_size) != size_ || time_of_change(status) != changed_)
    fail("file", "{}: was changed while it was in use; load it again", place_);
}

int InputFile::duplicate() const {
  const int copy = ::fcntl(descriptor_, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) fail_to_read(place_, errno);
  ::lseek(copy, 0, SEEK_SET);
  return copy;
}

std::vector<std::byte> read_file(const std::filesystem::path& path, uint64_t max_bytes) {
  const InputFile file(path);
  if (file.size() > max_bytes)
    fail(ErrorCode::too_large, "file", "{}: has {} bytes, above the limit of {}", file.place(),
         file.size(), max_bytes);
  // Files of /proc say that they have none, and others grow: read on to the end.
  std::vector<std::byte> bytes(static_cast<size_t>(file.size()));
  size_t filled = file.read_some(0, bytes);
  std::byte extra{};
  while (filled == bytes.size() && file.read_some(filled, {&extra, 1}) == 1) {
    if (filled >= max_bytes)
      fail(ErrorCode::too_large, "file", "{}: has more bytes than the limit of {}", file.place(),
           max_bytes);
    bytes.resize(filled + static_cast<size_t>(std::min<uint64_t>(kReadStep, max_bytes - filled)));
    filled += file.read_some(filled, std::span(bytes).subspan(filled));
  }
  bytes.resize(filled);
  return bytes;
}

}  // namespace vitrail
