#include "train/metrics.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>

#include "core/atomic_file.h"
#include "core/error.h"

namespace vitrail {

using Json = nlohmann::json;

void append_to_file(const std::filesystem::path& path, std::string_view bytes) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  ssize_t written = -1;
  if (descriptor >= 0) {
    written = ::write(descriptor, bytes.data(), bytes.size());
    const int error_number = errno;
    ::close(descriptor);
    errno = error_number;
  }
  check(written >= 0, "file", "{}: cannot be written: {}", path.string(),
        std::generic_category().message(errno));
  check(written == static_cast<ssize_t>(bytes.size()), "file",
        "{}: cannot be written: no space left", path.string());
}

void cut_metrics(const std::filesystem::path& path, int64_t step, int64_t epochs) {
  std::ifstream in(path);
  if (!in) return;
  std::string kept, line;
  while (std::getline(in, line)) {
    const Json entry = Json::parse(line, nullptr, false);
    if (!entry.is_object()) continue;
    const auto found = entry.find("step");
    if (found == entry.end() || !found->is_number_integer() || found->get<int64_t>() > step)
      continue;
    if (entry.value("kind", Json()) == "end") continue;
    if (entry.value("kind", Json()) == "epoch" && entry.value("epoch", Json()) >= epochs) continue;
    kept += line + "\n";
  }
  in.close();
  write_file_atomically(path, kept);
}

}  // namespace vitrail
