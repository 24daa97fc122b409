#include "data/shard_index.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "core/error.h"
#include "core/printable.h"
#include "formats/json.h"
#include "formats/text_file.h"
#include "image/codec/picture_names.h"

namespace vitrail {
namespace {

bool is_label(const std::string& extension) {
  return extension == "cls" || extension == "json" || extension == "txt";
}

std::string trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1));
}

// The label that a member's text gives; empty when it gives none.
std::string label_in(const std::string& extension, std::string_view text,
                     const std::string& place) {
  if (extension != "json") return trimmed(checked_text(text, place));
  const Json json = parse_json(text, place);
  for (const char* key : {"label", "class", "cls"}) {
    const auto found = json.is_object() ? json.find(key) : json.end();
    if (found == json.end()) continue;
    if (found->is_string()) return found->get<std::string>();
    if (found->is_number_integer()) return found->dump();
  }
  return "";
}

}  // namespace

bool ShardIndex::Sample::has(const std::string& extension) const {
  return picture_extension == extension || labels.contains(extension);
}

// A key is one sample as long as its members follow one another. Where others stand between, what
// the sample still lacks (all pictures first, then all labels) joins it, and what it has already is
// the next sample of that key.
ShardIndex::Sample& ShardIndex::sample_of(const std::string& key, const std::string& extension) {
  if (!samples_.empty() && samples_.back().key == key) return samples_.back();
  const auto known = newest_.find(key);
  if (known != newest_.end()) {
    Sample& before = samples_[known->second];
    const bool lacks = is_label(extension) ? before.labels.empty() : !before.picture;
    if (lacks) return before;
  }
  newest_[key] = samples_.size();
  samples_.push_back({.key = key});
  return samples_.back();
}

void ShardIndex::add(const TarEntry& entry) {
  if (entry.is_folder || entry.name.ends_with('/')) return;
  if (!entry.is_file) return intake_.leave_out(reasons::kNoFile, entry.name);
  const size_t base = entry.name.rfind('/') + 1;  // npos + 1 is 0
  const size_t dot = entry.name.find('.', base);
  if (dot == base || entry.name.starts_with("__")) {
    return intake_.leave_out(reasons::kHidden, entry.name);
  }
  if (dot == std::string::npos) return intake_.leave_out(reasons::kNoPicture, entry.name);
  std::string extension = entry.name.substr(dot + 1);
  for (char& c : extension) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  const std::string key = entry.name.substr(0, dot);
  if (is_picture_suffix(extension)) {
    if (entry.bytes == 0) return intake_.leave_out(reasons::kEmptyPicture, entry.name);
    Sample& sample = sample_of(key, extension);
    check(!sample.has(extension), "data", "{}: '{}' is twice in the sample '{}'", printable(shard_),
          printable(entry.name), printable(key));
    if (sample.picture) return intake_.leave_out(reasons::kSecond, entry.name);
    sample.picture = entry;
    sample.picture_extension = extension;
  } else if (is_label(extension)) {
    Sample& sample = sample_of(key, extension);
    check(sample.labels.emplace(extension, entry).second, "data",
          "{}: '{}' is twice in the sample '{}'", printable(shard_), printable(entry.name),
          printable(key));
  } else if (is_picture_suffix(picture_suffix(entry.name))) {
    sample_of(key, extension).dotted.push_back(entry.name);
  } else {
    const bool unread = is_unread_picture_suffix(picture_suffix(entry.name));
    intake_.leave_out(unread ? reasons::kUnreadFormat : reasons::kNoPicture, entry.name);
  }
}

std::vector<IndexedSample> ShardIndex::finish(Intake& intake) {
  std::vector<IndexedSample> found;
  int64_t repeated = 0;
  std::string example;
  for (Sample& sample : samples_) {
    check(sample.picture || sample.dotted.empty(), "data",
          "{}: '{}' belongs to the sample '{}', since a key ends at the first dot, and that sample "
          "has no picture of its own; write the shard with names that have one dot",
          printable(shard_), sample.dotted.empty() ? "" : printable(sample.dotted[0]),
          printable(sample.key));
    for (const std::string& name : sample.dotted) intake_.leave_out(reasons::kSecond, name);
    if (!sample.picture) {
      for (const auto& [extension, entry] : sample.labels)
        intake_.leave_out(reasons::kLabelAlone, entry.name);
      continue;
    }
    std::string label = label_of(sample);
    const int64_t time = ++times_[sample.key];
    if (time > 1 && example.empty()) example = sample.key;
    repeated += time > 1;
    std::string key = time == 1 ? sample.key : fmt::format("{}#{}", sample.key, time);
    found.push_back({std::move(key), *std::move(sample.picture), std::move(label)});
  }
  intake.add(intake_);
  if (repeated > 0)
    intake.note(fmt::format("{}: {} before and {} of {} own: {}", printable(shard_),
                            counted(repeated, "key comes that came", "keys come that came"),
                            repeated == 1 ? "is a sample" : "are samples",
                            repeated == 1 ? "its" : "their", printable(example)));
  return found;
}

std::string ShardIndex::label_of(const Sample& sample) {
  for (const char* extension : {"cls", "json", "txt"}) {
    const auto found = sample.labels.find(extension);
    if (found == sample.labels.end()) continue;
    const TarEntry& member = found->second;
    check(member.bytes <= kMaxShardLabelBytes, "data", "{}: {} has {} bytes, too many for a label",
          printable(shard_), printable(member.name), member.bytes);
    std::string text(static_cast<size_t>(member.bytes), '\0');
    read_(member.offset, std::as_writable_bytes(std::span(text)));
    std::string label = label_in(extension, text, shard_ + ": " + member.name);
    if (!label.empty()) return label;
  }
  fail("data", "{}: {} has no label (.cls, .txt, or .json with \"label\")", printable(shard_),
       printable(sample.key));
}

}  // namespace vitrail
