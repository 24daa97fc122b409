// TensorBoard's event files, written without TensorFlow: protocol buffers `Event` (wall_time = 1,
// step = 2, file_version = 3, summary = 5, session_log = 7), each in a TFRecord frame:
// its length (u64), the masked CRC-32C of that, the bytes, the masked CRC-32C of these.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "image/image.h"

namespace vitrail {

struct NamedScalar {
  std::string tag;  // "train/loss": what stands before the slash groups the charts
  double value = 0;
};

// ---- The encoding, by itself ----

// When and at which step an event happened.
struct EventTime {
  double seconds = 0;  // since 1970
  int64_t step = 0;
};

std::string encode_version_event(double seconds);
// A process that begins at this step: readers drop what older files hold from it on.
std::string encode_start_event(const EventTime& time);
std::string encode_scalars_event(const EventTime& time, std::span<const NamedScalar> scalars);
std::string encode_image_event(const EventTime& time, const std::string& tag, const Image& image);

// CRC-32C (Castagnoli), rotated by 15 bits and offset, as TFRecord has it.
uint32_t masked_crc32c(std::string_view bytes);
std::string tfrecord(std::string_view payload);

// ---- The file of a process ----

class EventFile {
 public:
  // Begins a file that readers take after those that the folder holds, which count up to the step
  // before `first_step`. Error: it cannot be written.
  EventFile(const std::filesystem::path& folder, int64_t first_step);

  // Each call is one write, so a killed run leaves at most its last record incomplete.
  void add(int64_t step, std::span<const NamedScalar> scalars) const;
  void add(int64_t step, const std::string& tag, const Image& picture) const;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace vitrail
