// Tar shards by WebDataset's convention: members whose names agree up to the first dot are one
// sample, a picture (image/picture_names.h) and its label (.cls, .txt, or .json with "label",
// "class" or "cls"). The table of contents is read once; a picture is then read where it lies.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"
#include "data/labels.h"
#include "data/sources.h"
#include "formats/json.h"
#include "formats/tar.h"
#include "formats/text_file.h"
#include "image/picture_names.h"

namespace vitrail {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxLabelBytes = 64 << 10;
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
               std::vector<std::string> classes, std::vector<ShardSample> samples)
      : decode_(spec.decode), shards_(std::move(shards)), samples_(std::move(samples)) {
    name_ = spec.name;
    classes_ = std::move(classes);
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

 private:
  const ShardSample& at(int64_t index) const { return samples_[static_cast<size_t>(index)]; }
  DecodeOptions decode_;
  std::vector<std::string> shards_;
  std::vector<ShardSample> samples_;
};

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
    for (size_t i = 0; i < shards_.size(); ++i) read_shard(static_cast<int64_t>(i), samples, names);
    LabelSet labels = number_labels(names, spec_.name);
    for (size_t i = 0; i < samples.size(); ++i) samples[i].label = labels.labels[i];
    return std::make_unique<ShardDataset>(spec_, shards_, std::move(labels.classes),
                                          std::move(samples));
  }

 private:
  struct Parts {
    const TarEntry* picture = nullptr;
    std::map<std::string, const TarEntry*> labels;  // by extension
  };

  void read_shard(int64_t number, std::vector<ShardSample>& samples,
                  std::vector<std::string>& names) const {
    const std::string& path = shards_[static_cast<size_t>(number)];
    const InputFile file(path);
    const auto read = [&](uint64_t offset, std::span<std::byte> to) { file.read(offset, to); };
    const std::vector<TarEntry> members = tar_members(file.size(), read, path);
    std::vector<std::pair<std::string, Parts>> found;  // in the order of the shard
    std::map<std::string, size_t> places;
    for (const TarEntry& member : members) {
      const size_t slash = member.name.rfind('/');
      const size_t base = slash == std::string::npos ? 0 : slash + 1;
      const size_t dot = member.name.find('.', base);
      if (dot == std::string::npos || dot == base) continue;  // no extension, or hidden
      std::string extension = member.name.substr(dot + 1);
      for (char& c : extension) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
      const std::string key = member.name.substr(0, dot);
      const auto [at, is_new] = places.emplace(key, found.size());
      if (is_new) found.emplace_back(key, Parts{});
      Parts& parts = found[at->second].second;
      if (is_picture_suffix(extension))
        parts.picture = &member;
      else if (extension == "cls" || extension == "txt" || extension == "json")
        parts.labels[extension] = &member;
    }
    for (const auto& [key, parts] : found) {
      if (parts.picture == nullptr) continue;
      samples.push_back({key, number, parts.picture->offset, parts.picture->bytes, 0});
      names.push_back(label_of(file, path, key, parts));
    }
  }

  std::string label_of(const InputFile& file, const std::string& path, const std::string& key,
                       const Parts& parts) const {
    for (const char* extension : {"cls", "json", "txt"}) {
      const auto found = parts.labels.find(extension);
      if (found == parts.labels.end()) continue;
      const TarEntry& member = *found->second;
      check(member.bytes <= kMaxLabelBytes, "data", "{}: {} has {} bytes, too many for a label",
            path, member.name, member.bytes);
      const std::vector<std::byte> bytes = read_part(file, member.offset, member.bytes);
      std::string label = label_in(
          extension, {reinterpret_cast<const char*>(bytes.data()), bytes.size()}, member.name);
      if (!label.empty()) return label;
    }
    fail("data", "{}: {} has no label (.cls, .txt, or .json with \"label\")", path, key);
  }

  SourceSpec spec_;
  std::vector<std::string> shards_;
};

}  // namespace

std::unique_ptr<Source> shard_source(const SourceSpec& spec) {
  return std::make_unique<ShardSource>(spec);
}

}  // namespace vitrail
