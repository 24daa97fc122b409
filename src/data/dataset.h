// Data sets: pictures with labels, opened from one string.
//
//   folder:DIR          a folder a class; DIR/train, DIR/val, DIR/test (or as data/split_names.h
//                       has them) when the set is divided
//   flat:DIR            pictures named CLASS_anything.JPEG in one folder (ImageNet's nWNID_name)
//   fashion-mnist:DIR   the four idx files, gzipped or plain
//   mnist:DIR           the same
//   cifar10:DIR         the binary batches
//   csv:FILE[,DIR]      a table with the columns path, label and perhaps split (train, val, test);
//                       with labels ("cat|dog") instead, pictures of several classes or none
//   coco:FILE[,DIR]     COCO's JSON: a picture's class is the category that covers most of it, or
//                       behind ,labels=all every category that it shows
//   tar:SHARDS          WebDataset's shards: DIR/shard-{000..012}.tar
//   scenes[:key=value,...]   pictures that Vitrail renders itself; keys in data/scenes.h
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/intake.h"
#include "image/codec/codec.h"
#include "image/image.h"

namespace vitrail {

enum class Split { train, val, test, all };
const char* name_of(Split split);
Split split_of(const std::string& name);  // Error: none of train, val, test, all

struct Sample {
  Image image;
  int64_t label = 0;  // index into Dataset::classes(); -1 where there may be several
  std::string id;     // a file's path within the set's folder, or SPLIT/NUMBER
};

// Every method is const and may be called from several threads at once. Indices run from 0 to
// size() - 1.
class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual int64_t size() const = 0;
  // Decodes or renders the picture. Error: it cannot be read; the message names the file.
  virtual Sample get(int64_t index) const = 0;
  // Label and id without the picture.
  virtual int64_t label(int64_t index) const = 0;
  virtual std::string id(int64_t index) const = 0;
  // A hash of what the picture is made from: the same for the same bytes, whatever they are called
  // and in whichever set they lie. By itself that of the decoded pixels. Error: it cannot be read.
  virtual uint64_t content(int64_t index) const;

  // Whether a picture may show several classes, or none. Then label() is an Error that says so, and
  // labels() are what counts.
  bool multi_label() const { return multi_label_; }
  // Every class of a picture, ascending.
  virtual std::vector<int64_t> labels(int64_t index) const { return {label(index)}; }
  std::string label_names(int64_t index) const;  // "cat", or "cat, dog" or "no class"

  // Class names in label order. Whoever compares with a model's labels matches by name (or WNID,
  // which is what flat: sets have for names), never by position.
  const std::vector<std::string>& classes() const { return classes_; }
  int64_t num_classes() const { return static_cast<int64_t>(classes_.size()); }
  const std::string& name() const { return name_; }  // the spec that opened it
  // What the whole set, all its splits, took and left out.
  const Intake& intake() const { return intake_; }
  // What every picture of the set has; 0: it differs from picture to picture.
  int channels() const { return channels_; }
  int width() const { return width_; }
  int height() const { return height_; }

 protected:
  std::string name_;
  std::vector<std::string> classes_;
  Intake intake_;
  bool multi_label_ = false;
  int channels_ = 3;
  int width_ = 0;
  int height_ = 0;
};

struct OpenOptions {
  // Of a set without val pictures of its own, this part of each class's training pictures is held
  // out: val gets them and train does not (data/held_out.h). 0: train gets all.
  double val_fraction = 0.1;
  uint64_t split_seed = 0;
  std::string group;     // pictures of a group are held out together: group_keys' pattern
  DecodeOptions decode;  // of picture files; Preprocess::decode_options() gives a model's
};

// Error: an unknown spec (the message lists the known ones), a folder or file that is missing or
// broken, a split that the set does not have. An undivided set has train, val (held out) and all,
// no test. What the set leaves out is announced (data/intake.h).
std::unique_ptr<Dataset> open_dataset(const std::string& spec, Split split,
                                      const OpenOptions& options = {});

// The splits that the set itself comes divided into (what is on the disk), without reading
// pictures: {all} for an undivided set. Error: as open_dataset.
std::vector<Split> own_splits(const std::string& spec);

}  // namespace vitrail
