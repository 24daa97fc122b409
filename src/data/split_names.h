// The names that people give to the parts of a data set: train, Training, valid, val2017,
// test_set, ...
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "data/dataset.h"

namespace vitrail {

struct SplitName {
  Split split = Split::all;  // all: a part, but whether val or test its name does not say (eval)
  // What else the name says: "seg" of seg_train. Empty when it says nothing else; numbers and
  // words such as set, data and images (train_images, val2017) are nothing.
  std::string rest;
};

// Nothing where no word of the name is one of a split's. Capital letters are small ones.
std::optional<SplitName> read_split_name(std::string_view name);

// A to Z as small letters; all else stays.
std::string lower_case(std::string text);

// The words that are known, for messages.
inline constexpr const char* kSplitWords =
    "train, training; val, valid, validation, dev; test, testing";

}  // namespace vitrail
