#include "data/loader.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <numeric>
#include <set>
#include <thread>
#include <utility>

#include "core/advice.h"
#include "core/error.h"
#include "core/rng.h"
#include "data/batch_maker.h"

namespace vitrail {

std::vector<int64_t> epoch_order(int64_t size, bool shuffle, uint64_t seed, int64_t epoch) {
  std::vector<int64_t> order(static_cast<size_t>(size));
  std::iota(order.begin(), order.end(), int64_t{0});
  if (!shuffle) return order;
  const auto words = philox(seed, static_cast<uint64_t>(epoch), hash_path("epoch order"));
  Rng rng(uint64_t{words[0]} << 32 | words[1], uint64_t{words[2]} << 32 | words[3]);
  for (int64_t i = size - 1; i > 0; --i)
    std::swap(order[static_cast<size_t>(i)], order[static_cast<size_t>(rng.below(i + 1))]);
  return order;
}

// A batch in preparation by a pool: offered as spare work, and ended whatever happens. Not of this
// file alone, since Loader::State, which loader.h names, holds one.
class PoolBatch {
 public:
  PoolBatch(const BatchMaker& maker, ThreadPool& pool, std::unique_ptr<BatchDraft> draft)
      : maker_(maker),
        pool_(pool),
        draft_(std::move(draft)),
        work_(static_cast<int64_t>(draft_->left_out.size()),
              [this](int64_t row) { maker_.picture(*draft_, row); }) {
    pool_.offer(work_);
  }
  ~PoolBatch() {
    if (draft_) pool_.withdraw(work_);
  }
  PoolBatch(const PoolBatch&) = delete;
  PoolBatch& operator=(const PoolBatch&) = delete;

  std::unique_ptr<BatchDraft> finish() {
    pool_.finish(work_);
    maker_.finish(*draft_);
    return std::move(draft_);
  }

 private:
  const BatchMaker& maker_;
  ThreadPool& pool_;
  std::unique_ptr<BatchDraft> draft_;
  SpareWork work_;
};

struct Loader::State {
  const Dataset& dataset;
  const LoaderOptions options;
  BatchMaker maker;

  struct Result {
    std::unique_ptr<BatchDraft> draft;
    std::exception_ptr error;
  };

  std::mutex mutex;
  std::condition_variable work_wanted, result_ready;
  // One pass over the data; a new start() replaces it, and workers still busy with the old one
  // notice when they bring their batch.
  std::shared_ptr<const EpochOrder> epoch;
  int64_t ahead = 1;    // batches that may be ready or in work
  int64_t claimed = 0;  // batches below this have been taken by a worker
  int64_t handed = 0;   // batches below this have been given to the caller
  int64_t end = 0;
  bool stop = false;
  std::map<int64_t, Result> results;
  std::vector<std::thread> workers;

  std::unique_ptr<PoolBatch> following;  // without workers, with a pool

  std::vector<BrokenPicture> broken;
  std::set<int64_t> broken_indices;

  State(const Dataset& set, const LoaderOptions& loader_options)
      : dataset(set), options(loader_options), maker(set, loader_options) {}

  std::unique_ptr<BatchDraft> make_batch(std::shared_ptr<const EpochOrder> pass,
                                         int64_t number) const {
    std::unique_ptr<BatchDraft> draft = maker.begin(std::move(pass), number);
    const auto count = static_cast<int64_t>(draft->left_out.size());
    for (int64_t row = 0; row < count; ++row) maker.picture(*draft, row);
    maker.finish(*draft);
    return draft;
  }

  void work() {
    std::unique_lock lock(mutex);
    for (;;) {
      work_wanted.wait(lock, [&] { return stop || (claimed < end && claimed < handed + ahead); });
      if (stop) return;
      const std::shared_ptr<const EpochOrder> pass = epoch;
      const int64_t number = claimed++;
      lock.unlock();
      Result result;
      try {
        result.draft = make_batch(pass, number);
      } catch (...) {
        result.error = std::current_exception();
      }
      lock.lock();
      if (pass == epoch) {
        results.emplace(number, std::move(result));
        result_ready.notify_one();
      }
    }
  }

  std::unique_ptr<PoolBatch> begin_on_pool(int64_t number) const {
    return std::make_unique<PoolBatch>(maker, *options.pool, maker.begin(epoch, number));
  }

  Result take_from_pool() {
    std::unique_ptr<PoolBatch> current = std::move(following);
    if (!current) current = begin_on_pool(handed);
    Result result{current->finish(), nullptr};
    if (++handed < end) following = begin_on_pool(handed);
    return result;
  }

  Result take() {
    if (options.workers == 0 && options.pool != nullptr) return take_from_pool();
    if (options.workers == 0) return {make_batch(epoch, handed++), nullptr};
    std::unique_lock lock(mutex);
    result_ready.wait(lock, [&] { return results.contains(handed); });
    Result result = std::move(results.extract(handed++).mapped());
    work_wanted.notify_all();
    return result;
  }

  // In the order of the batches, so that the limit is met at the same one whatever the workers do.
  void note(const BrokenPicture& picture) {
    if (!broken_indices.insert(picture.index).second) return;
    broken.push_back(picture);
    if (static_cast<int64_t>(broken.size()) > maker.max_broken())
      fail("data", "{}; {} broken of {} pictures, and the limit is {} ({:g}%): {}", picture.what,
           broken.size(), dataset.size(), maker.max_broken(), 100 * options.max_broken,
           said(Option::max_broken));
    if (options.on_broken) options.on_broken(picture);
  }
};

namespace {

void check_views(const LoaderOptions& options) {
  for (const ViewOptions& view : options.views) {
    check_augment(view.augment);
    check(view.augment.random_resized_crop, "loader",
          "a view is cut out of the picture: it needs random_resized_crop");
    check(view.size.height > 0 && view.size.width > 0 && view.size.height <= kMaxPreprocessSide &&
              view.size.width <= kMaxPreprocessSide,
          "loader", "a view of {}x{}, expected sides of 1 to {}", view.size.height, view.size.width,
          kMaxPreprocessSide);
  }
  check(options.views.empty() || !options.mix.enabled(), "loader",
        "views of a picture cannot be mixed with other pictures");
}

}  // namespace

Loader::Loader(const Dataset& dataset, const LoaderOptions& options) {
  check(options.batch_size >= 1, "loader", "batch_size {} is below 1", options.batch_size);
  check(options.workers >= 0 && options.workers <= 256, "loader", "workers {} is outside 0 to 256",
        options.workers);
  check(options.prefetch >= 1, "loader", "prefetch {} is below 1", options.prefetch);
  check(options.ranks >= 1 && options.rank >= 0 && options.rank < options.ranks, "loader",
        "rank {} of {} ranks does not exist", options.rank, options.ranks);
  check(options.max_broken >= 0 && options.max_broken <= 1, "loader",
        "max_broken {} is outside 0 to 1", options.max_broken);
  check(dataset.size() > 0, "loader", "{} has no pictures", dataset.name());
  check_preprocess(options.preprocess);
  check_augment(options.augment);
  check_mix(options.mix);
  check_views(options);
  const PictureSize output = fixed_output_size(options.preprocess);
  check(output.height > 0 && output.width > 0, "loader",
        "the preprocessing gives every picture another size, and a batch wants one; crop or squash "
        "to a fixed size");
  state_ = std::make_unique<State>(dataset, options);
  state_->ahead = std::clamp<int64_t>(options.prefetch_bytes / state_->maker.batch_bytes(), 1,
                                      options.prefetch);
  for (int i = 0; i < options.workers; ++i)
    state_->workers.emplace_back([state = state_.get()] { state->work(); });
}

Loader::~Loader() {
  {
    std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->work_wanted.notify_all();
  for (std::thread& worker : state_->workers) worker.join();
}

bool Loader::multi_label() const {
  return state_->dataset.multi_label();
}
int64_t Loader::num_classes() const {
  return state_->dataset.num_classes();
}

int64_t Loader::batches_per_epoch() const {
  return state_->maker.num_batches();
}

const std::vector<BrokenPicture>& Loader::broken() const {
  return state_->broken;
}

void Loader::start(int64_t epoch, int64_t first_batch) {
  State& state = *state_;
  const int64_t batches = state.maker.num_batches();
  check(first_batch >= 0 && first_batch <= batches, "loader",
        "batch {} is beyond the epoch, which has {}", first_batch, batches);
  state.following = nullptr;
  auto pass = std::make_shared<EpochOrder>();
  pass->epoch = epoch;
  pass->pictures =
      epoch_order(state.dataset.size(), state.options.shuffle, state.options.seed, epoch);
  {
    std::lock_guard lock(state.mutex);
    state.epoch = std::move(pass);
    state.results.clear();
    state.claimed = state.handed = first_batch;
    state.end = batches;
  }
  state.work_wanted.notify_all();
}

bool Loader::next(Batch& batch) {
  State& state = *state_;
  check(state.epoch != nullptr, "loader", "start() an epoch before next()");
  batch = {};  // its tensors go back to the pool before others are made
  while (state.handed < state.end) {
    try {
      State::Result result = state.take();
      if (result.error) std::rethrow_exception(result.error);
      for (const BrokenPicture& picture : result.draft->broken) state.note(picture);
      batch = std::move(result.draft->batch);
    } catch (...) {
      state.following = nullptr;
      std::lock_guard lock(state.mutex);
      state.end = state.handed;
      throw;
    }
    if (batch.images.defined()) return true;  // not all of it is broken
  }
  return false;
}

void Loader::stop() {
  State& state = *state_;
  state.following = nullptr;
  std::lock_guard lock(state.mutex);
  state.claimed = state.handed = state.end;
  state.results.clear();
}

}  // namespace vitrail
