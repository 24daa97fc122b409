#include "train/run/run_data.h"

#include <algorithm>

#include "core/advice.h"
#include "core/error.h"
#include "core/printable.h"
#include "data/held_out.h"
#include "data/picture_source.h"
#include "formats/json_text.h"
#include "train/methods/make_method.h"

namespace vitrail {
namespace {

bool has_split(const std::vector<Split>& splits, Split split) {
  return std::ranges::find(splits, split) != splits.end();
}

// Before anything is computed, and on every process: contents are compared later, by one.
void check_names(const SplitRecord& record, const Dataset& set, std::vector<Part> parts) {
  const std::string text = differences(record, {.set = &set, .of = std::move(parts)});
  check(
      text.empty(), "split",
      "{} does not hold the pictures that the run divided: {}; put them back as {} lists them, or "
      "begin another run",
      printable(set.name()), text, kSplitFile);
}

}  // namespace

void check_classes(const Dataset& set, const char* place) {
  check(set.size() > 0 && set.num_classes() > 0, place, "{} has no pictures of a class",
        set.name());
  for (int64_t i = 1; i < set.size(); ++i)
    if (set.labels(i) != set.labels(0)) return;
  check(!set.multi_label(), place,
        "{} has training pictures that all show the same classes, and nothing tells them apart",
        set.name());
  fail(place,
       "{} has training pictures of one class, '{}', and a classifier tells two or more apart "
       "({} mae and dino need no classes)",
       set.name(), set.classes()[static_cast<size_t>(set.label(0))], said(Option::method));
}

void check_class_names(const Dataset& set, const char* place) {
  for (const std::string& name : set.classes())
    check(is_utf8(name), place,
          "{} has a class '{}', whose name is not UTF-8 and could not be kept; rename it (convmv "
          "-r --notest -f latin1 -t utf8 does so for a folder)",
          printable(set.name()), printable(name));
}

RunData open_pictures(const RunPictures& pictures) {
  const PictureSource source(pictures.data, pictures.open.decode);
  const std::vector<Split> splits = source.splits();
  const bool own_test = has_split(splits, Split::test), own_val = has_split(splits, Split::val);
  const SplitRecord* record = pictures.record;
  OpenOptions open = pictures.open;
  open.val_fraction = 0;  // what is held out is held out here
  RunData data;
  data.split = {.data = pictures.data, .val = pictures.val};
  // Pictures are held out only where there would be none to evaluate on.
  data.split.held_out = record != nullptr ? record->held_out
                                          : pictures.val.empty() && !own_val &&
                                                (!own_test || pictures.validate_beside_test);
  data.train = source.open(Split::train, open);
  if (own_test) data.test = source.open(Split::test, open);
  data.judged_on = "val";
  if (data.split.held_out) {
    data.split.fraction = record != nullptr ? record->fraction : pictures.open.val_fraction;
    data.split.seed = record != nullptr ? record->seed : pictures.open.split_seed;
    data.split.group = record != nullptr ? record->group : pictures.open.group;
    const std::shared_ptr<const Dataset> whole = std::move(data.train);
    if (record != nullptr) check_names(*record, *whole, {Part::training, Part::validation});
    HeldOut parts = record != nullptr ? divided(whole, held_out_in(*record, *whole))
                                      : split_held_out(whole, pictures.open);
    data.train = std::move(parts.train);
    data.judge = std::move(parts.validation);
    return data;
  }
  if (record != nullptr) check_names(*record, *data.train, {Part::training});
  if (!pictures.val.empty()) {
    const PictureSource other(pictures.val, pictures.open.decode);
    const std::vector<Split> theirs = other.splits();
    const Split split = has_split(theirs, Split::val)    ? Split::val
                        : has_split(theirs, Split::test) ? Split::test
                                                         : Split::all;
    data.judge = other.open(split, open);
    check(data.judge->multi_label() == data.train->multi_label(), "train",
          "one of {} {} and {} has several classes a picture, and the other one", said(Option::val),
          pictures.val, pictures.data);
    check(data.judge->classes() == data.train->classes(), "train",
          "{} {} has other classes than {}", said(Option::val), pictures.val, pictures.data);
  } else if (own_val) {
    data.judge = source.open(Split::val, open);
  } else {
    data.judged_on = "test";
  }
  if (record != nullptr && data.judge) check_names(*record, *data.judge, {Part::validation});
  return data;
}

RunData open_run_data(const TrainConfig& config, const SplitRecord* record) {
  RunData data = open_pictures(
      {.data = config.data, .val = config.val, .open = config.open_options(), .record = record});
  if (config.method == "supervised") check_classes(*data.train, "train");
  check(
      config.method == "supervised" || !data.train->multi_label(), "train",
      "method {} is judged by what class the nearest neighbours have, and {} has several a picture",
      config.method, config.data);
  const bool several = data.train->multi_label();
  const ClassAnswer answer = config.model.class_answer();
  check(answer.classes == 0 || answer.multi_label || !several, "train",
        "{} has several classes a picture, which a model answers with multi_label=true, "
        "answer=sigmoid and loss=bce",
        config.data);
  check(answer.classes == 0 || !answer.multi_label || several, "train",
        "{} has one class a picture, and the model is to answer with several; set "
        "multi_label=false",
        config.data);
  check(answer.classes == 0 || answer.classes == data.train->num_classes(), "train",
        "the model has {} classes and {} has {}; set num_classes={}", answer.classes, config.data,
        data.train->num_classes(), data.train->num_classes());
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
