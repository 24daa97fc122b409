// The samples of a tar shard by WebDataset's convention: members one after another whose names
// agree up to the first dot behind the last slash are one sample, a picture
// (image/codec/picture_names.h) and its label (.cls, .txt, or .json with "label", "class" or
// "cls"). Source: webdataset 0.2, tariterators.py, base_plus_ext and group_by_keys.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/parallel.h"
#include "data/intake.h"
#include "formats/tar.h"

namespace vitrail {

inline constexpr uint64_t kMaxShardLabelBytes = 64 << 10;

struct IndexedSample {
  std::string key;  // of a key that comes again: KEY#2, KEY#3, ...
  TarEntry picture;
  std::string label;
};

class ShardIndex {
 public:
  using Read = FunctionRef<void(uint64_t, std::span<std::byte>)>;
  // `read` gives bytes of the shard and outlives the index; `shard` names it in messages.
  ShardIndex(std::string shard, Read read) : shard_(std::move(shard)), read_(read) {}

  // The shard's entries in their order. Error: a member that one sample has twice.
  void add(const TarEntry& entry);
  // Error: a picture without a label; a sample whose pictures all have a second dot in their names,
  // since it is then the name that is wrong (v2.0_a.jpg and v2.0_b.jpg are one sample, "v2").
  std::vector<IndexedSample> finish(Intake& intake);

 private:
  struct Sample {
    std::string key;
    std::optional<TarEntry> picture;
    std::map<std::string, TarEntry> labels;  // by extension
    std::vector<std::string> dotted;         // pictures behind a second dot
    bool has(const std::string& extension) const;
    std::string picture_extension;
  };
  Sample& sample_of(const std::string& key, const std::string& extension);
  std::string label_of(const Sample& sample);

  std::string shard_;
  Read read_;
  Intake intake_;
  std::vector<Sample> samples_;                     // in the order of the shard
  std::unordered_map<std::string, size_t> newest_;  // by key
  std::unordered_map<std::string, int64_t> times_;  // that a key was taken
};

}  // namespace vitrail
