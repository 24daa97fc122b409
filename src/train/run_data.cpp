#include "train/run_data.h"

#include <algorithm>

#include "core/error.h"
#include "core/printable.h"
#include "formats/json_text.h"
#include "train/methods/make_method.h"

namespace vitrail {
namespace {

bool has_split(const std::vector<Split>& splits, Split split) {
  return std::ranges::find(splits, split) != splits.end();
}

}  // namespace

void check_classes(const Dataset& set, const char* place) {
  check(set.size() > 0 && set.num_classes() > 0, place, "{} has no pictures of a class",
        set.name());
  for (int64_t i = 1; i < set.size(); ++i)
    if (set.label(i) != set.label(0)) return;
  fail(place,
       "{} has training pictures of one class, '{}', and a classifier tells two or more apart "
       "(train --method mae and dino need no classes)",
       set.name(), set.classes()[static_cast<size_t>(set.label(0))]);
}

void check_class_names(const Dataset& set, const char* place) {
  for (const std::string& name : set.classes())
    check(is_utf8(name), place,
          "{} has a class '{}', whose name is not UTF-8 and could not be kept; rename it (convmv "
          "-r --notest -f latin1 -t utf8 does so for a folder)",
          printable(set.name()), printable(name));
}

RunData open_run_data(const TrainConfig& config) {
  const std::vector<Split> splits = own_splits(config.data);
  OpenOptions open = config.open_options();
  const bool own_test = has_split(splits, Split::test);
  const bool own_val = has_split(splits, Split::val);
  // Pictures are held out only where there would be none to evaluate on.
  if (!config.val.empty() || own_test) open.val_fraction = 0;
  RunData data;
  data.train = open_dataset(config.data, Split::train, open);
  if (config.method == "supervised") check_classes(*data.train, "train");
  if (own_test) data.test = open_dataset(config.data, Split::test, open);
  if (!config.val.empty()) {
    const std::vector<Split> theirs = own_splits(config.val);
    const Split split = has_split(theirs, Split::val)    ? Split::val
                        : has_split(theirs, Split::test) ? Split::test
                                                         : Split::all;
    data.judge = open_dataset(config.val, split, open);
    check(data.judge->classes() == data.train->classes(), "train",
          "--val {} has other classes than {}", config.val, config.data);
    data.judged_on = "val";
  } else if (own_val || !own_test) {
    data.judge = open_dataset(config.data, Split::val, open);
    data.judged_on = "val";
  } else {
    data.judged_on = "test";
  }
  check(config.model.num_classes == 0 || config.model.num_classes == data.train->num_classes(),
        "train", "the model has {} classes and {} has {}; set num_classes={}",
        config.model.num_classes, config.data, data.train->num_classes(),
        data.train->num_classes());
  return data;
}

LoaderOptions evaluation_loader(const TrainConfig& config, const LoadShare& share) {
  LoaderOptions loader;
  loader.batch_size = config.batch_size / config.accumulate;
  loader.workers = share.workers;
  loader.pool = share.pool;
  loader.max_broken = share.max_broken;
  loader.rank = share.rank;
  loader.ranks = share.ranks;
  loader.on_broken = share.on_broken;
  loader.seed = static_cast<uint64_t>(config.seed);
  loader.preprocess = config.preprocess();
  return loader;
}

LoaderOptions training_loader(const TrainConfig& config, const LoadShare& share, int64_t pictures) {
  const int64_t parts = config.accumulate * share.ranks;
  check(config.batch_size % parts == 0, "train",
        "batch_size {} does not divide into {} parts ({} processes, accumulate {})",
        config.batch_size, parts, share.ranks, config.accumulate);
  check(parts == 1 || pictures >= config.batch_size, "train",
        "there are {} training pictures, and a step takes {}; lower batch_size", pictures,
        config.batch_size);
  LoaderOptions loader = evaluation_loader(config, share);
  loader.batch_size = config.batch_size / parts;
  loader.shuffle = true;
  // A small last batch would move the weights as far as a full one, on less evidence.
  loader.drop_last = pictures >= config.batch_size;
  loader.augment = config.augment;
  loader.mix = config.mix;
  loader.views = views_of(config);
  return loader;
}

}  // namespace vitrail
