#include "fetch/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "core/error.h"
#include "core/log.h"

namespace vitrail {

FileLock::FileLock(const std::filesystem::path& path) {
  descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0664);
  check(descriptor_ >= 0, "file", "{}: cannot be created: {}", path.string(),
        std::generic_category().message(errno));
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0) return;
  // File systems without locks exist; a download then costs its bandwidth twice, nothing worse.
  if (errno != EWOULDBLOCK) return;
  log_info("waiting for another process that fetches the same file");
  while (::flock(descriptor_, LOCK_EX) != 0 && errno == EINTR) continue;
}

FileLock::~FileLock() {
  ::close(descriptor_);
}

}  // namespace vitrail
