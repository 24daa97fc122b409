// Where pictures come from: one Source for each kind of spec. open_dataset builds on these.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace vitrail {

class Source {
 public:
  virtual ~Source() = default;
  // What the set comes divided into; {all} when it is not divided.
  virtual std::vector<Split> splits() const = 0;
  // One of splits(), or all, with its intake. Error: a file is missing or broken.
  virtual std::unique_ptr<Dataset> open(Split split) const = 0;
  // What the set leaves out, for a message that says why it lacks a split; known before open()
  // where that costs nothing.
  virtual Intake intake() const { return {}; }
};

struct SourceSpec {
  std::string name;       // the whole spec
  std::string kind;       // before the colon
  std::string arguments;  // after it
  DecodeOptions decode;
};

std::unique_ptr<Source> folder_source(const SourceSpec& spec);
std::unique_ptr<Source> flat_source(const SourceSpec& spec);
std::unique_ptr<Source> idx_source(const SourceSpec& spec);
std::unique_ptr<Source> cifar_source(const SourceSpec& spec);
std::unique_ptr<Source> scenes_source(const SourceSpec& spec);
std::unique_ptr<Source> csv_source(const SourceSpec& spec);
std::unique_ptr<Source> coco_source(const SourceSpec& spec);
std::unique_ptr<Source> shard_source(const SourceSpec& spec);

// The folder that a spec names. Error: none given, or no folder.
std::filesystem::path folder_of(const SourceSpec& spec);

// Dataset::content of a picture that is these bytes of a file.
uint64_t hash_of(std::span<const std::byte> file);

// Picture files below a folder.
struct PictureFile {
  std::string path;  // within the set's folder
  int64_t label = 0;
};
struct PictureList {
  std::filesystem::path root;
  std::vector<std::string> classes;
  std::vector<PictureFile> files;
  Intake intake;
  // Of several classes a picture: those that each PictureFile::label stands for, ascending.
  std::vector<std::vector<int64_t>> label_sets = {};
};
std::unique_ptr<Dataset> file_dataset(const SourceSpec& spec, PictureList list);

// Pictures of one size kept as bytes in memory.
struct MemoryPictures {
  std::string name;
  std::vector<std::string> classes;
  int width = 0, height = 0, channels = 1;
  std::vector<uint8_t> pixels;  // [N, height, width, channels]
  std::vector<uint8_t> labels;  // [N], below classes.size()
  struct Part {
    std::string name;  // ids are NAME/0, NAME/1, ...
    int64_t size = 0;
  };
  std::vector<Part> parts;  // in order; their sizes sum to N
};
std::unique_ptr<Dataset> memory_dataset(MemoryPictures pictures);

}  // namespace vitrail
