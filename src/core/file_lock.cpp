#include "core/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/file.h"
#include "core/log.h"
#include "core/machine.h"
#include "core/printable.h"

namespace vitrail {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxHolderBytes = 1024;

// Whether the path still leads to the open file: its last holder may have removed it since.
bool is_at(int descriptor, const fs::path& path) {
  struct stat open {
  }, there{};
  return ::fstat(descriptor, &open) == 0 && ::stat(path.c_str(), &there) == 0 &&
         open.st_dev == there.st_dev && open.st_ino == there.st_ino;
}

std::string holder_of(const fs::path& path) {
  try {
    const std::vector<std::byte> bytes = read_file(path, kMaxHolderBytes);
    std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text.empty() ? "another process" : printable(text);
  } catch (const Error&) {
    return "another process";
  }
}

}  // namespace

bool FileLock::take(const fs::path& path, bool wait, const std::function<void()>& on_wait) {
  path_ = path;
  while (true) {
    descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0664);
    check(descriptor_ >= 0, "file", "{}: cannot be created: {}", printable(path.string()),
          system_reason(errno));
    struct stat status {};
    check(::fstat(descriptor_, &status) == 0 && S_ISREG(status.st_mode), "file",
          "{}: is in the way of a lock: it is not a regular file", printable(path.string()));
    int failed = ::flock(descriptor_, LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
    if (failed == EWOULDBLOCK) {
      if (!wait) return false;
      if (on_wait) on_wait();
      do {
        failed = ::flock(descriptor_, LOCK_EX) == 0 ? 0 : errno;
      } while (failed == EINTR);
    }
    if (failed != 0) {
      why_not_ = system_reason(failed);
      return true;
    }
    if (is_at(descriptor_, path)) return true;
    ::close(std::exchange(descriptor_, -1));
  }
}

FileLock::FileLock(const fs::path& path, const std::function<void()>& on_wait) : FileLock() {
  take(path, true, on_wait);
}

std::unique_ptr<FileLock> FileLock::try_lock(const fs::path& path) {
  std::unique_ptr<FileLock> lock(new FileLock);
  if (!lock->take(path, false, {})) return nullptr;
  return lock;
}

FileLock::~FileLock() {
  if (descriptor_ < 0) return;
  // While it is held, so that nobody removes another's.
  if (remove_) ::unlink(path_.c_str());
  ::close(descriptor_);
}

void FileLock::write(std::string_view text) {
  const auto size = static_cast<ssize_t>(text.size());
  const bool written = ::ftruncate(descriptor_, 0) == 0 &&
                       ::pwrite(descriptor_, text.data(), text.size(), 0) == size;
  check(written, "file", "{}: cannot be written: {}", printable(path_.string()),
        system_reason(errno == 0 ? ENOSPC : errno));
}

FolderLock::FolderLock(const fs::path& folder, const std::string& what) {
  std::error_code error;
  if (fs::create_directories(folder, error)) made_ = folder;
  // A link to a folder is none to create_directories.
  std::error_code ignored;
  check(fs::is_directory(folder, ignored), "file", "{}: the folder cannot be made: {}",
        printable(folder.string()), error ? error.message() : "a file of that name is there");
  const fs::path path = folder / ".vitrail.lock";
  lock_ = FileLock::try_lock(path);
  if (lock_ == nullptr)
    fail("file", "{} is being written by {}; wait until that has ended, or choose another folder",
         printable(folder.string()), holder_of(path));
  lock_->remove_at_end();
  if (!lock_->why_not().empty())
    log_warning(fmt::format(
        "{}: this file system has no locks ({}): nothing keeps two processes from writing there",
        printable(folder.string()), lock_->why_not()));
  errno = 0;
  lock_->write(
      fmt::format("{}, process {} on {} since {}\n", what, ::getpid(), host_name(), utc_time()));
}

FolderLock::~FolderLock() {
  lock_.reset();
  std::error_code not_empty;
  if (!made_.empty()) fs::remove(made_, not_empty);
}

}  // namespace vitrail
