// What the loader's threads do: one picture of a batch at a time, in any order.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "data/loader.h"

namespace vitrail {

// One pass over the data.
struct EpochOrder {
  int64_t epoch = 0;
  std::vector<int64_t> pictures;
};

// A batch in work.
struct BatchDraft {
  Batch batch;
  std::vector<BrokenPicture> broken;  // in no order until finished
  std::vector<char> left_out;         // rows without a picture
  std::shared_ptr<const EpochOrder> order;
  int64_t first = 0;   // position of the first picture in the order
  int64_t number = 0;  // of the batch among those of all ranks
  std::mutex mutex;    // of `broken`
};

class BatchMaker {
 public:
  BatchMaker(const Dataset& dataset, const LoaderOptions& options);

  // This rank's batches.
  int64_t num_batches() const;
  // Of all its tensors.
  int64_t batch_bytes() const;
  int64_t max_broken() const;

  // The three steps of a batch: all pictures, from any threads, stand between the other two.
  std::unique_ptr<BatchDraft> begin(std::shared_ptr<const EpochOrder> order, int64_t number) const;
  void picture(BatchDraft& draft, int64_t row) const;
  void finish(BatchDraft& draft) const;

 private:
  void prepare(const Sample& sample, const AugmentKey& key, BatchDraft& draft, int64_t row) const;
  void write_labels(const Sample& sample, int64_t index, const Tensor& labels, int64_t row) const;
  bool try_position(BatchDraft& draft, int64_t position, int64_t row) const;

  const Dataset& dataset_;
  LoaderOptions options_;
  std::vector<Augmenter> crops_;  // one, or one a view
};

}  // namespace vitrail
