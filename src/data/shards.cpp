// Tar shards by WebDataset's convention (data/shard_index.h). The table of contents is read once; a
// picture is then read where it lies.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "core/error.h"
#include "core/file.h"
#include "core/printable.h"
#include "data/class_notes.h"
#include "data/labels.h"
#include "data/shard_index.h"
#include "data/sources.h"
#include "formats/tar.h"
#include "formats/text_file.h"

namespace vitrail {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxShards = 100'000;

std::vector<std::byte> read_part(const InputFile& file, uint64_t offset, uint64_t bytes) {
  std::vector<std::byte> out(bytes);
  file.read(offset, out);
  return out;
}

// "a-{000..012}.tar" written out, with the digits of the first number; several braces multiply.
std::vector<std::string> expanded(const std::string& pattern) {
  const size_t open = pattern.find('{'), close = pattern.find('}', open);
  if (open == std::string::npos || close == std::string::npos) return {pattern};
  const std::string inside = pattern.substr(open + 1, close - open - 1);
  const size_t dots = inside.find("..");
  int64_t first = 0, last = 0;
  const auto number = [](std::string_view text, int64_t& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size() && value >= 0;
  };
  check(dots != std::string::npos && number(std::string_view(inside).substr(0, dots), first) &&
            number(std::string_view(inside).substr(dots + 2), last) && first <= last &&
            last - first < kMaxShards,
        "data", "tar: '{{{}}}' is no range of shards, as in {{000..012}}", inside);
  std::vector<std::string> out;
  for (const std::string& rest : expanded(pattern.substr(close + 1))) {
    for (int64_t i = first; i <= last; ++i)
      out.push_back(fmt::format("{}{:0{}}{}", pattern.substr(0, open), i, dots, rest));
    check(static_cast<int64_t>(out.size()) <= kMaxShards, "data", "tar: more than {} shards",
          kMaxShards);
  }
  std::ranges::sort(out);
  return out;
}

struct ShardSample {
  std::string key;
  int64_t shard = 0;
  uint64_t offset = 0, bytes = 0;
  int64_t label = 0;
};

class ShardDataset : public Dataset {
 public:
  ShardDataset(const SourceSpec& spec, std::vector<std::string> shards,
               std::vector<std::string> classes, std::vector<ShardSample> samples, Intake intake)
      : decode_(spec.decode), shards_(std::move(shards)), samples_(std::move(samples)) {
    name_ = spec.name;
    classes_ = std::move(classes);
    intake_ = std::move(intake);
    channels_ = decode_.color == ColorMode::grey ? 1 : 3;
  }
  int64_t size() const override { return static_cast<int64_t>(samples_.size()); }
  int64_t label(int64_t index) const override { return at(index).label; }
  std::string id(int64_t index) const override {
    const ShardSample& sample = at(index);
    return fs::path(shards_[static_cast<size_t>(sample.shard)]).filename().string() + "/" +
           sample.key;
  }
  Sample get(int64_t index) const override {
    const ShardSample& sample = at(index);
    check(sample.bytes <= decode_.max_file_bytes, "picture",
          "{}: {} bytes are above the limit of {}", id(index), sample.bytes,
          decode_.max_file_bytes);
    const InputFile file(shards_[static_cast<size_t>(sample.shard)]);
    return {decode_picture(read_part(file, sample.offset, sample.bytes), decode_, id(index)),
            sample.label, id(index)};
  }
  uint64_t content(int64_t index) const override {
    const ShardSample& sample = at(index);
    check(sample.bytes <= decode_.max_file_bytes, "picture",
          "{}: {} bytes are above the limit of {}", id(index), sample.bytes,
          decode_.max_file_bytes);
    return hash_of(read_part(InputFile(shards_[static_cast<size_t>(sample.shard)]), sample.offset,
                             sample.bytes));
  }

 private:
  const ShardSample& at(int64_t index) const { return samples_[static_cast<size_t>(index)]; }
  DecodeOptions decode_;
  std::vector<std::string> shards_;
  std::vector<ShardSample> samples_;
};

class ShardSource : public Source {
 public:
  explicit ShardSource(const SourceSpec& spec) : spec_(spec) {
    check(!spec.arguments.empty(), "data",
          "tar needs shards, as in tar:DIR/shard-{{000..012}}.tar");
    shards_ = expanded(spec.arguments);
  }
  std::vector<Split> splits() const override { return {Split::all}; }

  std::unique_ptr<Dataset> open(Split) const override {
    std::vector<ShardSample> samples;
    std::vector<std::string> names;
    Intake intake;
    for (size_t i = 0; i < shards_.size(); ++i) {
      const InputFile file(shards_[i]);
      const auto read = [&](uint64_t offset, std::span<std::byte> to) { file.read(offset, to); };
      ShardIndex index(shards_[i], read);
      for_each_tar_entry(file.size(), read, shards_[i],
                         [&](const TarEntry& entry) { index.add(entry); });
      for (IndexedSample& sample : index.finish(intake)) {
        samples.push_back({std::move(sample.key), static_cast<int64_t>(i), sample.picture.offset,
                           sample.picture.bytes, 0});
        names.push_back(std::move(sample.label));
      }
    }
    const std::string left_out = intake.left_out_text();
    check(!names.empty(), "data", "{} has no labelled pictures{}{}", printable(spec_.name),
          left_out.empty() ? "" : "; left out: ", left_out);
    LabelSet labels = number_labels(names, printable(spec_.name));
    ClassCounts counts;
    for (size_t i = 0; i < samples.size(); ++i) {
      samples[i].label = labels.labels[i];
      ++counts[Split::all][names[i]];
    }
    note_classes(counts, {}, intake);
    return std::make_unique<ShardDataset>(spec_, shards_, std::move(labels.classes),
                                          std::move(samples), std::move(intake));
  }

 private:
  SourceSpec spec_;
  std::vector<std::string> shards_;
};

}  // namespace

std::unique_ptr<Source> shard_source(const SourceSpec& spec) {
  return std::make_unique<ShardSource>(spec);
}

}  // namespace vitrail
