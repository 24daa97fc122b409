// Loader: batches of normalised pictures, prepared by worker threads ahead of the computation.
//
// What a batch holds depends on (seed, epoch, batch number) alone: the number of workers, and
// resuming in the middle of an epoch, change nothing. At most `prefetch` batches exist beside the
// one that the caller holds, and their tensors come from the pool.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/tensor.h"
#include "data/augment.h"
#include "data/dataset.h"
#include "image/preprocess.h"

namespace vitrail {

struct LoaderOptions {
  int64_t batch_size = 64;
  int workers = 1;   // 0: next() prepares the batch itself
  int prefetch = 4;  // batches ready or in work; at least 1
  bool shuffle = false;
  bool drop_last = false;  // leave out the last batch of an epoch when it is not full
  uint64_t seed = 0;
  Preprocess preprocess;
  AugmentOptions augment;
};

struct Batch {
  Tensor images;                 // [B, C, H, W] f32
  Tensor labels;                 // [B] i64
  std::vector<int64_t> indices;  // of the pictures in the set
  int64_t number = 0;            // within the epoch
};

// The order of an epoch: 0 .. size-1, permuted by (seed, epoch) when shuffled.
std::vector<int64_t> epoch_order(int64_t size, bool shuffle, uint64_t seed, int64_t epoch);

class Loader {
 public:
  // The set must outlive the loader. Error: an empty set, a batch size below 1, preprocessing whose
  // output size differs from picture to picture, and what check_augment refuses.
  Loader(const Dataset& dataset, const LoaderOptions& options);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  int64_t batches_per_epoch() const;
  // Begins an epoch at a batch; may be called at any time, also in the middle of another epoch.
  // Error: first_batch is beyond the epoch.
  void start(int64_t epoch, int64_t first_batch = 0);
  // The next batch of the epoch, or false at its end. Error: a picture could not be read; batches
  // before it have been returned, and the epoch is over.
  bool next(Batch& batch);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vitrail
