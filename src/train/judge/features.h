// What a model makes of pictures before its head: computed once, for the classifiers and votes that
// judge or replace a head.
#pragma once

#include <functional>
#include <limits>

#include "data/loader.h"
#include "models/network.h"
#include "train/run/gradient_exchange.h"

namespace vitrail {

struct Features {
  Tensor values;  // [N, F]: what the heads read; of two heads, side by side
  Tensor labels;  // [N] i64; of several classes a picture [N, classes], 1 of those that are there
  int64_t pictures() const { return values.size(0); }
};

// F. Pooled features alone where there is no second head.
int64_t feature_width(const Network& model);

struct FeatureOptions {
  int64_t limit = std::numeric_limits<int64_t>::max();  // pictures
  // The processes whose loaders take the batches of one order in turn; each gets the features of
  // all, in the order of the pictures' indices. Then there is no limit.
  GradientExchange* exchange = nullptr;
  std::function<bool()> stop = {};  // asked before each batch; one process's yes ends all
};

// One pass over the loader's epoch 0, without a gradient. Error: no picture could be read; it was
// asked to stop (ErrorCode::cancelled).
Features features_of(const Network& model, Queue& queue, Loader& loader,
                     const FeatureOptions& options = {});

// The chosen rows. Error: none is chosen.
Features rows_of(const Features& features, const std::vector<int64_t>& rows);

}  // namespace vitrail
