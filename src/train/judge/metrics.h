// A run's record: one JSON object a line, in the order of steps.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace vitrail {

// Appends with one write. Error: the file cannot be written, or not wholly (a full disk).
void append_to_file(const std::filesystem::path& path, std::string_view bytes);

// Appends to a file of lines; each line is one write, so a killed run leaves at most its last line
// incomplete.
class LineFile {
 public:
  explicit LineFile(std::filesystem::path path) : path_(std::move(path)) {}
  // Error: the file cannot be written.
  void append(const std::string& line) const { append_to_file(path_, line + "\n"); }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// Removes the lines that a run resumed at `step`, with `epochs` ended, writes again: those after
// the step, those of kind "epoch" of epochs that have not ended (the checkpoint of an epoch's last
// batch may be older than the epoch's line), an incomplete line, and that of an end. A file that is
// missing stays missing.
void cut_metrics(const std::filesystem::path& path, int64_t step, int64_t epochs);

// The objects of a file of JSON lines, one after the other; a file that is not there has none.
// Returns how many lines are no objects, or too large, and are left out. Error: no regular file, or
// too large as a whole.
using VisitLine = std::function<void(const nlohmann::json& object, std::string_view line)>;
int64_t for_each_object(const std::filesystem::path& path, const VisitLine& visit);

}  // namespace vitrail
