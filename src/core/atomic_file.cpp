#include "core/atomic_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <system_error>
#include <utility>

#include "core/error.h"

namespace vitrail {

std::string system_reason(int error_number) {
  return std::generic_category().message(error_number);
}

namespace {

// Distinct among this process's threads and among processes; O_EXCL settles what remains.
std::string temporary_name(const std::filesystem::path& path) {
  static std::atomic<unsigned> counter{0};
  return fmt::format("{}.{}.{}.tmp", path.string(), ::getpid(), counter.fetch_add(1));
}

}  // namespace

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path_, ignored))
    fail("file", "{}: cannot be written: it is a directory", path_.string());
  // A link keeps pointing where it did: what it names is replaced, not the link.
  if (std::filesystem::is_symlink(path_, ignored)) {
    const auto target = std::filesystem::weakly_canonical(path_, ignored);
    if (!ignored) path_ = target;
  }
  // Renaming over a device or a pipe would put a file in its place.
  const auto status = std::filesystem::status(path_, ignored);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))
    fail("file", "{}: cannot be written: it is not a regular file", path_.string());
  constexpr int kAttempts = 100;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    temporary_ = temporary_name(path_);
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor_ >= 0 || errno != EEXIST) break;
  }
  if (descriptor_ < 0) {
    const int error_number = errno;
    temporary_.clear();
    fail_with("cannot be created", error_number);
  }
  // Says that it is being written; remove_if_abandoned() asks. Best effort: not all disks have
  // locks.
  ::flock(descriptor_, LOCK_EX | LOCK_NB);
  // An existing file keeps its permissions. Best effort: ours are right for a new file.
  struct stat existing {};
  if (::stat(path_.c_str(), &existing) == 0 && ::fchmod(descriptor_, existing.st_mode & 0777) != 0)
    return;
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!committed_ && !temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::fail_with(const char* action, int error_number) {
  fail(error_number == ENOENT ? ErrorCode::not_found : ErrorCode::io, "file", "{}: {}: {}",
       path_.string(), action, system_reason(error_number));
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  check(descriptor_ >= 0, "file", "{}: written to after it was committed", path_.string());
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      fail_with("cannot be written", errno);
    }
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

void AtomicFile::write(std::string_view text) {
  write(std::as_bytes(std::span(text.data(), text.size())));
}

void AtomicFile::commit() {
  check(descriptor_ >= 0, "file", "{}: committed twice", path_.string());
  if (::fsync(descriptor_) != 0) fail_with("cannot be written", errno);
  const int closed = ::close(std::exchange(descriptor_, -1));
  if (closed != 0) fail_with("cannot be written", errno);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail_with("cannot be renamed to", errno);
  committed_ = true;
  // The rename itself must survive a power cut. Some file systems refuse to sync a folder, which
  // loses nothing that is already in place.
  const std::filesystem::path folder = path_.has_parent_path() ? path_.parent_path() : ".";
  const int folder_descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder_descriptor >= 0) {
    ::fsync(folder_descriptor);
    ::close(folder_descriptor);
  }
}

void write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

void write_file_atomically(const std::filesystem::path& path, std::string_view text) {
  write_file_atomically(path, std::as_bytes(std::span(text.data(), text.size())));
}

void remove_if_abandoned(const std::filesystem::path& temporary) {
  struct stat status {};
  if (::lstat(temporary.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return;
  const int descriptor = ::open(temporary.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
  if (descriptor < 0) return;
  if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
    ::unlink(temporary.c_str());
  ::close(descriptor);
}

void check_room(const std::filesystem::path& folder, uint64_t bytes, const std::string& what) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
      bytes > limit.rlim_cur)
    fail(ErrorCode::io, "file", "{} takes {} bytes, and a file may have {} here (ulimit -f)", what,
         bytes, static_cast<uint64_t>(limit.rlim_cur));
  std::error_code unknown;
  const std::filesystem::space_info space = std::filesystem::space(folder, unknown);
  if (unknown || space.capacity == 0 || space.available >= bytes) return;
  fail(ErrorCode::io, "file", "{}: {} takes {} bytes, and the disk has {} left", folder.string(),
       what, bytes, static_cast<uint64_t>(space.available));
}

void make_folders(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  check(!error, "file", "{}: cannot be created: {}", folder.string(), error.message());
}

}  // namespace vitrail
