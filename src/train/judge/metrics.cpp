#include "train/judge/metrics.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <system_error>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/file.h"
#include "core/printable.h"
#include "formats/json.h"
#include "formats/text_file.h"

namespace vitrail {
namespace {

// Of a run of a million steps.
constexpr uint64_t kMaxLogBytes = uint64_t{1} << 30;
// The line of a skipped step names its pictures.
constexpr JsonLimits kLine{.bytes = size_t{16} << 20, .depth = 16, .values = size_t{1} << 20};

}  // namespace

void append_to_file(const std::filesystem::path& path, std::string_view bytes) {
  // Without O_NONBLOCK a pipe of that name would wait for its reader.
  const int descriptor =
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0666);
  ssize_t written = -1;
  bool regular = true;
  if (descriptor >= 0) {
    struct stat status {};
    regular = ::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
    if (regular) written = ::write(descriptor, bytes.data(), bytes.size());
    const int error_number = errno;
    ::close(descriptor);
    errno = error_number;
  }
  check(regular, "file", "{}: cannot be written: it is not a regular file", path.string());
  check(written >= 0, "file", "{}: cannot be written: {}", path.string(),
        std::generic_category().message(errno));
  check(written == static_cast<ssize_t>(bytes.size()), "file",
        "{}: cannot be written: no space left", path.string());
}

int64_t for_each_object(const std::filesystem::path& path, const VisitLine& visit) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return 0;
  const std::vector<std::byte> bytes = read_file(path, kMaxLogBytes);
  std::string_view rest(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  int64_t unread = 0;
  while (!rest.empty()) {
    const std::string_view line = take_line(rest);
    const std::optional<Json> object = try_parse_json(line, kLine);
    if (object && object->is_object())
      visit(*object, line);
    else if (!line.empty())
      ++unread;
  }
  return unread;
}

void cut_metrics(const std::filesystem::path& path, int64_t step, int64_t epochs) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return;
  std::string kept;
  for_each_object(path, [&](const Json& entry, std::string_view line) {
    const auto found = entry.find("step");
    if (found == entry.end() || !found->is_number_integer() || found->get<int64_t>() > step) return;
    if (entry.value("kind", Json()) == "end") return;
    if (entry.value("kind", Json()) == "epoch" && entry.value("epoch", Json()) >= epochs) return;
    kept.append(line) += '\n';
  });
  write_file_atomically(path, kept);
}

}  // namespace vitrail
