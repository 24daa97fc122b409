// Loader: batches of normalised pictures, prepared ahead of the computation.
//
// What a batch holds depends on (seed, epoch, batch number) alone: the number of workers, and
// resuming in the middle of an epoch, change nothing. At most `prefetch` batches, and about
// `prefetch_bytes`, exist beside the one that the caller holds; their tensors come from the pool.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/parallel.h"
#include "core/tensor.h"
#include "data/augment.h"
#include "data/dataset.h"
#include "data/mix.h"
#include "image/preprocess/preprocess.h"

namespace vitrail {

// The share of a set's pictures that may be broken, where nobody says otherwise.
inline constexpr double kMaxBroken = 0.01;

struct BrokenPicture {
  int64_t index = 0;
  std::string id, what;
};

// One crop of several of the same picture.
struct ViewOptions {
  PictureSize size;
  AugmentOptions augment;
};

struct LoaderOptions {
  int64_t batch_size = 64;  // of this rank; a step of all ranks together sees ranks times as many
  // Threads that prepare batches beside the computation. 0: next() does it, on the threads of
  // `pool` when there is one; the pool's workers then also take pictures of the following batch
  // whenever the computation leaves them waiting, so that there is never a thread more than the
  // pool has.
  int workers = 1;
  ThreadPool* pool = nullptr;
  int prefetch = 4;  // batches ready or in work; at least 1
  int64_t prefetch_bytes = int64_t{256} << 20;
  bool shuffle = false;
  // Leave out the last batches of an epoch when they are not full, or not one for each rank: then
  // every rank has the same number.
  bool drop_last = false;
  uint64_t seed = 0;
  Preprocess preprocess;
  AugmentOptions augment;
  MixOptions mix;
  // Crops instead of the one picture: see Batch::views. The views' own options count, not `augment`
  // (but for its repeats).
  std::vector<ViewOptions> views;

  // One order for all, cut into batches that the ranks take in turn: rank r's batch j is the
  // order's batch j * ranks + r, down to its mixing. So a step of N ranks sees what one process
  // sees in N batches.
  int64_t rank = 0, ranks = 1;

  // This share of the set's pictures may be broken; more end the epoch with an error. A shuffled
  // epoch has the next good picture of its order in the place of a broken one; another, which is an
  // evaluation, leaves it out.
  double max_broken = kMaxBroken;
  std::function<void(const BrokenPicture&)> on_broken;  // once for each, from next()
};

struct Batch {
  Tensor images;  // [B, C, H, W] f32; of a batch of views its first one
  // [B] i64; of a set of several classes a picture [B, classes], 1 of those that are there, else 0.
  Tensor labels;
  Tensor targets;  // [B, classes] f32, labels that were mixed; undefined when the labels say all
  std::vector<Tensor> views;     // [B, C, h, w] each, in the order of LoaderOptions::views
  std::vector<int64_t> indices;  // of the pictures in the set
  int64_t number = 0;            // within this rank's epoch
};

// The order of an epoch: 0 .. size-1, permuted by (seed, epoch) when shuffled.
std::vector<int64_t> epoch_order(int64_t size, bool shuffle, uint64_t seed, int64_t epoch);

class Loader {
 public:
  // The set must outlive the loader. Error: an empty set, a batch size below 1, preprocessing whose
  // output size differs from picture to picture, and what check_augment and check_mix refuse.
  Loader(const Dataset& dataset, const LoaderOptions& options);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  int64_t batches_per_epoch() const;  // of this rank
  bool multi_label() const;           // of the set
  int64_t num_classes() const;
  // Begins an epoch at a batch; may be called at any time, also in the middle of another epoch.
  // Error: first_batch is beyond the epoch.
  void start(int64_t epoch, int64_t first_batch = 0);
  // The next batch of the epoch, or false at its end. Error: more pictures are broken than
  // max_broken allows; batches before that have been returned, and the epoch is over.
  bool next(Batch& batch);
  // The caller wants no more of the epoch: nothing is prepared ahead any longer, and the pool is
  // free for another loader.
  void stop();
  // Those met so far, each once, in the order they were met.
  const std::vector<BrokenPicture>& broken() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vitrail
