#include "fetch/download.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <system_error>
#include <thread>
#include <utility>

#include "core/log.h"
#include "core/printable.h"
#include "fetch/digest.h"

namespace vitrail {
namespace {

namespace fs = std::filesystem;

constexpr int kAttemptsWithoutProgress = 3;
constexpr int kMaxAttempts = 20;  // a server that sends a byte at a time is no server
constexpr int kMaxRestarts = 1;   // from the beginning, since a server refused to continue
constexpr auto kPause = std::chrono::milliseconds(500);
constexpr uint64_t kMaxFileBytes = uint64_t{64} << 30;  // of a file whose size nobody announced

uint64_t size_of(const fs::path& path) {
  std::error_code missing;
  const uint64_t bytes = fs::file_size(path, missing);
  return missing ? 0 : bytes;
}

void discard(const fs::path& path) {
  std::error_code ignored;
  fs::remove(path, ignored);
}

std::optional<uint64_t> number(const std::string& text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// A part to continue is a file of its own: a link, a second name of another file or a pipe that
// somebody put there would be written through.
bool is_own_file(const struct stat& status) {
  return S_ISREG(status.st_mode) && status.st_nlink == 1;
}

void discard_strange_part(const fs::path& part) {
  struct stat status {};
  if (::lstat(part.c_str(), &status) != 0 || is_own_file(status)) return;
  log_warning(
      fmt::format("{}: is not a part of a download, and is replaced", printable(part.string())));
  discard(part);
}

class AppendedFile {
 public:
  explicit AppendedFile(fs::path path) : path_(std::move(path)) {
    descriptor_ = ::open(path_.c_str(),
                         O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
    if (descriptor_ < 0) fail_with(errno);
    struct stat status {};
    if (::fstat(descriptor_, &status) == 0 && is_own_file(status)) return;
    ::close(descriptor_);
    fail("file", "{}: is not a file of its own", printable(path_.string()));
  }
  ~AppendedFile() { ::close(descriptor_); }
  AppendedFile(const AppendedFile&) = delete;
  AppendedFile& operator=(const AppendedFile&) = delete;
  void truncate() {
    if (::ftruncate(descriptor_, 0) != 0) fail_with(errno);
  }
  void write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail_with(errno);
      bytes = bytes.subspan(static_cast<size_t>(written));
    }
  }
  void sync() {
    if (::fsync(descriptor_) != 0) fail_with(errno);
  }

 private:
  [[noreturn]] void fail_with(int error_number) {
    fail("file", "{}: cannot be written: {}", path_.string(),
         std::generic_category().message(error_number));
  }
  fs::path path_;
  int descriptor_;
};

// A 416: what is there is no beginning of the file.
struct BadRange {};

class Attempt {
 public:
  Attempt(const Download& file, const fs::path& part)
      : file_(file), part_(part), done_(size_of(part)) {}

  // Error: as download(); BadRange.
  void run() {
    HttpRequest request = file_.request;
    begin_ = done_;
    if (begin_ > 0) request.headers.push_back(fmt::format("Range: bytes={}-", begin_));
    const HttpAnswer answer = http(request, [this](const HttpAnswer& so_far, auto bytes) {
      if (!started_) start(so_far);
      take(bytes);
    });
    if (answer.status >= 300) refuse(answer);
    if (!started_) start(answer);  // an empty file
    output_->sync();
    if (file_.expected.bytes && done_ < *file_.expected.bytes)
      throw HttpFailure(fmt::format("{} sends only {} of the {} bytes of {}", host(), done_,
                                    *file_.expected.bytes, file_.name),
                        true);
  }

 private:
  std::string host() const { return host_of(file_.request.url); }

  void start(const HttpAnswer& answer) {
    started_ = true;
    output_.emplace(part_);
    if (answer.status != 206 && begin_ > 0) {  // it knows no ranges
      output_->truncate();
      done_ = begin_ = 0;
    }
    total_ = file_.expected.bytes.value_or(0);
    std::optional<uint64_t> announced;
    if (const auto length = number(answer.header("content-length"))) announced = begin_ + *length;
    if (answer.status == 206) {
      const std::string wanted = fmt::format("bytes {}-", begin_),
                        range = answer.header("content-range");
      check(range.starts_with(wanted), "http",
            "{} sends '{}' of {} where 'bytes {}-' was asked for", host(), printable(range),
            file_.name, begin_);
      if (const auto whole = number(range.substr(range.find('/') + 1))) announced = whole;
    }
    if (announced && total_ > 0 && *announced != total_) {
      output_.reset();
      discard(part_);
      fail("http", "{} sends {} bytes as {}, which has {}", host(), *announced, file_.name, total_);
    }
    if (total_ == 0 && announced) total_ = *announced;
  }

  void take(std::span<const std::byte> bytes) {
    const uint64_t limit = total_ > 0 ? total_ : kMaxFileBytes;
    if (done_ + bytes.size() > limit) {
      output_.reset();
      discard(part_);
      fail("http", "{} sends more than the {} bytes of {}", host(), limit, file_.name);
    }
    output_->write(bytes);
    done_ += bytes.size();
    if (file_.progress) file_.progress(done_, total_);
  }

  [[noreturn]] void refuse(const HttpAnswer& answer) {
    if (answer.status == 416 && begin_ > 0) throw BadRange{};
    const std::string message =
        fmt::format("{} answers {} for {}", host(), status_text(answer.status), file_.name);
    if (answer.status >= 500 || answer.status == 429 || answer.status == 408)
      throw HttpFailure(message, true);
    if (file_.refuse) file_.refuse(answer);
    throw HttpFailure(message, false);
  }

  const Download& file_;
  const fs::path& part_;
  std::optional<AppendedFile> output_;
  bool started_ = false;
  uint64_t begin_ = 0, done_, total_ = 0;
};

// Bytes come, whatever breaks in between.
void transfer(const Download& file, const fs::path& part) {
  int idle = 0, restarts = 0;
  for (int attempts = 1;; ++attempts) {
    const uint64_t before = size_of(part);
    if (file.expected.bytes && before > *file.expected.bytes) discard(part);
    if (file.expected.bytes && before == *file.expected.bytes && before > 0) return;
    try {
      Attempt(file, part).run();
      return;
    } catch (const BadRange&) {
      discard(part);
      if (++restarts > kMaxRestarts)
        throw HttpFailure(fmt::format("{} breaks off {} and then refuses to continue it ({})",
                                      host_of(file.request.url), file.name, status_text(416)),
                          true);
    } catch (const HttpFailure& failure) {
      const uint64_t kept = size_of(part);
      idle = kept > before ? 1 : idle + 1;
      if (!failure.transient || idle >= kAttemptsWithoutProgress || attempts >= kMaxAttempts) {
        if (kept == 0) discard(part);
        if (kept == 0 || !failure.transient) throw;
        throw HttpFailure(
            fmt::format("{}; {} bytes are kept, and the same command continues there",
                        std::string(failure.what()).substr(std::string("[http] ").size()), kept),
            true);
      }
      std::this_thread::sleep_for(kPause);
    }
  }
}

}  // namespace

void verify_file(const fs::path& path, const ExpectedFile& expected, const std::string& name) {
  const uint64_t bytes = size_of(path);
  check(!expected.bytes || *expected.bytes == bytes, "fetch", "{} has {} bytes, not {}", name,
        bytes, expected.bytes.value_or(0));
  const auto compare = [&](const char* kind, const std::string& wanted, const auto& digest) {
    if (wanted.empty()) return;
    const std::string found = digest();
    check(found == wanted, "fetch", "{} is not what was published: its {} is {}, not {}", name,
          kind, found, wanted);
  };
  compare("SHA-256", expected.sha256, [&] { return file_digest(path, DigestKind::sha256); });
  compare("git SHA-1", expected.git_sha1, [&] { return git_blob_digest(path); });
  compare("MD5", expected.md5, [&] { return file_digest(path, DigestKind::md5); });
}

void say_that_another_fetches() {
  log_info("waiting for another process that fetches the same file");
}

void download(const Download& file) {
  const fs::path part = file.target.string() + ".incomplete";
  discard_strange_part(part);
  for (bool again = size_of(part) > 0;; again = false) {
    transfer(file, part);
    try {
      verify_file(part, file.expected, file.name);
      break;
    } catch (const Error&) {
      discard(part);
      if (!again) throw;
      // The fault may lie in the part that was there: once more from the beginning.
    }
  }
  std::error_code error;
  fs::rename(part, file.target, error);
  check(!error, "file", "{}: cannot be renamed to: {}", file.target.string(), error.message());
}

}  // namespace vitrail
