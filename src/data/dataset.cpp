#include "data/dataset.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <utility>

#include "core/error.h"
#include "core/nearest.h"
#include "core/printable.h"
#include "core/rng.h"
#include "core/utf8.h"
#include "data/held_out.h"
#include "data/picture_source.h"
#include "data/sources.h"

namespace vitrail {
namespace {

namespace fs = std::filesystem;

constexpr const char* kKnownSpecs =
    "folder:DIR, flat:DIR, fashion-mnist:DIR, mnist:DIR, cifar10:DIR, csv:FILE, coco:FILE, "
    "tar:SHARDS, scenes[:key=value,...]";

struct SourceKind {
  const char* name;
  std::unique_ptr<Source> (*make)(const SourceSpec&);
};
constexpr std::array<SourceKind, 9> kKinds{{{"folder", folder_source},
                                            {"flat", flat_source},
                                            {"fashion-mnist", idx_source},
                                            {"mnist", idx_source},
                                            {"cifar10", cifar_source},
                                            {"csv", csv_source},
                                            {"coco", coco_source},
                                            {"tar", shard_source},
                                            {"scenes", scenes_source}}};

std::unique_ptr<Source> source_of(const std::string& text, const DecodeOptions& decode) {
  const size_t colon = text.find(':');
  SourceSpec spec{text, text.substr(0, colon),
                  colon == std::string::npos ? "" : text.substr(colon + 1), decode};
  for (const SourceKind& kind : kKinds) {
    if (spec.kind == kind.name) return kind.make(spec);
  }
  std::error_code ignored;
  if (!text.empty() && fs::is_directory(text, ignored))
    fail("data", "unknown data set '{0}'; for the folder itself say folder:{0}", text);
  std::vector<std::string> kinds;
  for (const SourceKind& kind : kKinds) kinds.emplace_back(kind.name);
  const std::string nearest = did_you_mean(spec.kind, kinds);
  if (colon == std::string::npos && nearest.empty())
    fail("data", "{}: no such folder, and no other data set; those are {}", text, kKnownSpecs);
  fail("data", "unknown data set '{}'{}", text,
       nearest.empty() ? fmt::format("; known are {}", kKnownSpecs) : nearest);
}

std::string list_of(const std::vector<Split>& splits) {
  std::vector<std::string> names;
  for (const Split split : splits) names.emplace_back(name_of(split));
  return fmt::format("{}", fmt::join(names, ", "));
}

std::unique_ptr<Dataset> open_split(const Source& source, const std::string& spec, Split split,
                                    const OpenOptions& options) {
  if (split == Split::all) return source.open(split);
  const std::vector<Split> own = source.splits();
  if (own.empty()) return source.open(split);  // says which file is missing
  const auto has = [&](Split which) { return std::count(own.begin(), own.end(), which) > 0; };
  if (has(split) && !(split == Split::train && !has(Split::val))) return source.open(split);
  if (split != Split::test) {
    // Pictures for training and validation come from the training part, or from an undivided whole.
    const bool undivided = has(Split::all);
    if (undivided || has(Split::train) || split == Split::train) {
      std::unique_ptr<Dataset> whole = source.open(undivided ? Split::all : Split::train);
      if (split == Split::train && options.val_fraction == 0) return whole;
      HeldOut parts = split_held_out(std::move(whole), options);
      return std::move(split == Split::val ? parts.validation : parts.train);
    }
  }
  const std::string left_out = source.intake().left_out_text();
  fail("data", "{} has no {} pictures; it has: {}{}{}", printable(spec), name_of(split),
       list_of(own), left_out.empty() ? "" : "; left out: ", left_out);
}

// Names of classes reach config.json, which is UTF-8: a name that is not would be refused when the
// first epoch is over.
void check_names(const Dataset& set) {
  for (const std::string& name : set.classes())
    check(valid_utf8_bytes(name) == name.size(), "data",
          "{}: the class '{}' has a name that is not UTF-8; rename it", printable(set.name()),
          printable(name));
}

class MemoryDataset : public Dataset {
 public:
  explicit MemoryDataset(MemoryPictures pictures) : pictures_(std::move(pictures)) {
    name_ = pictures_.name;
    classes_ = pictures_.classes;
    channels_ = pictures_.channels;
    width_ = pictures_.width;
    height_ = pictures_.height;
  }
  int64_t size() const override { return static_cast<int64_t>(pictures_.labels.size()); }
  int64_t label(int64_t index) const override {
    return pictures_.labels[static_cast<size_t>(index)];
  }
  std::string id(int64_t index) const override {
    size_t part = 0;
    while (index >= pictures_.parts[part].size) index -= pictures_.parts[part++].size;
    return fmt::format("{}/{}", pictures_.parts[part].name, index);
  }
  Sample get(int64_t index) const override {
    Sample sample{Image(width_, height_, channels_), label(index), id(index)};
    const size_t bytes = sample.image.pixels.size();
    std::copy_n(pictures_.pixels.data() + bytes * static_cast<size_t>(index), bytes,
                sample.image.pixels.data());
    return sample;
  }

 private:
  MemoryPictures pictures_;
};

}  // namespace

const char* name_of(Split split) {
  switch (split) {
    case Split::train:
      return "train";
    case Split::val:
      return "val";
    case Split::test:
      return "test";
    case Split::all:
      return "all";
  }
  return "?";
}

Split split_of(const std::string& name) {
  for (const Split split : {Split::train, Split::val, Split::test, Split::all}) {
    if (name == name_of(split)) return split;
  }
  fail("data", "unknown split '{}'; known are train, val, test, all", name);
}

fs::path folder_of(const SourceSpec& spec) {
  check(!spec.arguments.empty(), "data", "{} needs a folder, as in {}:DIR", spec.kind, spec.kind);
  std::error_code error;
  const auto status = fs::status(spec.arguments, error);
  check(fs::exists(status), ErrorCode::not_found, "data", "{}: no such folder '{}'", spec.kind,
        spec.arguments);
  check(fs::is_directory(status), "data", "{}: '{}' is a file, not a folder", spec.kind,
        spec.arguments);
  return spec.arguments;
}

uint64_t Dataset::content(int64_t index) const {
  const Image image = get(index).image;
  const std::string_view pixels(reinterpret_cast<const char*>(image.pixels.data()),
                                image.pixels.size());
  return hash_path(fmt::format("{}x{}x{} {:016x}", image.width, image.height, image.channels,
                               hash_path(pixels)));
}

uint64_t hash_of(std::span<const std::byte> file) {
  return hash_path({reinterpret_cast<const char*>(file.data()), file.size()});
}

std::string Dataset::label_names(int64_t index) const {
  std::string names;
  for (const int64_t label : labels(index))
    names += (names.empty() ? "" : ", ") + classes_[static_cast<size_t>(label)];
  return names.empty() ? "no class" : names;
}

std::unique_ptr<Dataset> memory_dataset(MemoryPictures pictures) {
  return std::make_unique<MemoryDataset>(std::move(pictures));
}

PictureSource::PictureSource(const std::string& spec, const DecodeOptions& decode)
    : spec_(spec), source_(source_of(spec, decode)) {}
PictureSource::~PictureSource() = default;

std::vector<Split> PictureSource::splits() const {
  return source_->splits();
}

std::unique_ptr<Dataset> PictureSource::open(Split split, const OpenOptions& options) const {
  check(options.val_fraction >= 0 && options.val_fraction < 1, "data",
        "val_fraction {} is outside [0, 1)", options.val_fraction);
  std::unique_ptr<Dataset> set = open_split(*source_, spec_, split, options);
  check_names(*set);
  announce(set->intake(), spec_);
  return set;
}

std::vector<Split> own_splits(const std::string& spec) {
  return PictureSource(spec).splits();
}

std::unique_ptr<Dataset> open_dataset(const std::string& spec, Split split,
                                      const OpenOptions& options) {
  return PictureSource(spec, options.decode).open(split, options);
}

}  // namespace vitrail
