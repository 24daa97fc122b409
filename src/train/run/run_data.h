// The pictures of a run: which set it learns from, which one it is judged on, and how they are
// loaded.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "data/dataset.h"
#include "data/loader.h"
#include "data/split_record.h"
#include "train/run/config.h"

namespace vitrail {

// `judge` chooses the best weights; it is nothing when the set has only test pictures besides.
// A copy shares the pictures.
struct RunData {
  std::shared_ptr<const Dataset> train, judge, test;
  std::string judged_on;  // "val" or "test": what each epoch is evaluated on
  SplitRecord split;      // how they were divided; its list of pictures is made when it is kept
  bool split_is_kept = false;  // by whoever opened them (train/run/run_split.h)

  // What people want to know the accuracy on: the test pictures where there are some.
  const Dataset& most_honest() const { return test ? *test : *judge; }
};

struct RunPictures {
  std::string data, val;  // as in TrainConfig
  OpenOptions open;       // with the rule of what is held out
  // Whether pictures are held out of a set that has test pictures, too; without, each epoch of such
  // a set is evaluated on those.
  bool validate_beside_test = false;
  const SplitRecord* record = nullptr;  // of a run that goes on or is looked at: divided as it says
};
// Error: what open_dataset refuses; a --val set of other classes; pictures that are not, by name,
// those of the record.
RunData open_pictures(const RunPictures& pictures);

// The pictures of a configuration. Error also: other classes than the model's; training pictures of
// one class, unless the method needs no labels.
RunData open_run_data(const TrainConfig& config, const SplitRecord* record = nullptr);

// Error: the pictures are not of two classes at least, which is what a classifier learns to tell
// apart.
void check_classes(const Dataset& set, const char* place);

// Error: the pictures are of a class whose name is not UTF-8: no file of a model could hold it.
void check_class_names(const Dataset& set, const char* place);

// How a process loads its share of the pictures; LoaderOptions says what the fields mean.
struct LoadShare {
  int workers = 0;
  ThreadPool* pool = nullptr;
  double max_broken = kMaxBroken;
  int64_t rank = 0, ranks = 1;
  std::function<void(const BrokenPicture&)> on_broken = {};
};

// Pictures in order, unchanged.
LoaderOptions evaluation_loader(const TrainConfig& config, const LoadShare& share);
// As a run of the configuration sees its `pictures` training pictures; a batch is a part of a
// step's. Error: the parts do not divide batch_size, or there are fewer pictures than a step has.
LoaderOptions training_loader(const TrainConfig& config, const LoadShare& share, int64_t pictures);

}  // namespace vitrail
