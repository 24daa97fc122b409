#include "train/metrics.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <system_error>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/file.h"
#include "formats/json.h"

namespace vitrail {

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

void cut_metrics(const std::filesystem::path& path, int64_t step, int64_t epochs) {
  std::string kept;
  const bool there = for_each_json_line(path, [&](std::string_view line, const Json& entry) {
    const auto found = entry.find("step");
    if (found == entry.end() || !found->is_number_integer() || found->get<int64_t>() > step) return;
    if (entry.value("kind", Json()) == "end") return;
    if (entry.value("kind", Json()) == "epoch" && entry.value("epoch", Json()) >= epochs) return;
    kept.append(line) += '\n';
  });
  if (there) write_file_atomically(path, kept);
}

bool for_each_json_line(const std::filesystem::path& path,
                        const std::function<void(std::string_view, const Json&)>& visit) {
  return for_each_line(path, [&](std::string_view line) {
    const std::optional<Json> entry = try_parse_json(line);
    if (entry && entry->is_object()) visit(line, *entry);
  });
}

}  // namespace vitrail
