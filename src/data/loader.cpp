#include "data/loader.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <numeric>
#include <thread>
#include <utility>

#include "core/error.h"
#include "core/rng.h"

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

struct Loader::State {
  const Dataset& dataset;
  const LoaderOptions options;
  Preprocess after_augment;  // what is left to do with a picture that has the input's size
  PictureSize output;

  // One pass over the data; a new start() replaces it, and workers still busy with the old one
  // notice when they bring their batch.
  struct Epoch {
    int64_t number = 0;
    std::vector<int64_t> order;
  };
  struct Result {
    Batch batch;
    std::exception_ptr error;
  };

  std::mutex mutex;
  std::condition_variable work_wanted, result_ready;
  std::shared_ptr<const Epoch> epoch;
  int64_t claimed = 0;  // batches below this have been taken by a worker
  int64_t handed = 0;   // batches below this have been given to the caller
  int64_t end = 0;
  bool stop = false;
  std::map<int64_t, Result> results;
  std::vector<std::thread> workers;

  State(const Dataset& set, const LoaderOptions& loader_options)
      : dataset(set), options(loader_options), after_augment(loader_options.preprocess) {
    after_augment.resize = ResizeMode::none;
    after_augment.crop = CropRule::none;
    output = fixed_output_size(options.preprocess);
  }

  int64_t num_batches() const {
    const int64_t size = dataset.size(), batch = options.batch_size;
    return options.drop_last ? size / batch : size / batch + (size % batch != 0);
  }

  // Writes one picture, [C, H, W].
  void prepare(const Sample& sample, const AugmentKey& key, float* out) const {
    const Preprocess& preprocess = options.preprocess;
    Image image = sample.image;
    if (image.channels != preprocess.channels)
      image = preprocess.channels == 1 ? to_grey(std::move(image)) : to_rgb(std::move(image));
    const AugmentOptions& augment = options.augment;
    if (!augment.random_resized_crop && augment.pad == 0 && augment.flip_probability == 0) {
      apply(image, preprocess, out);
      return;
    }
    image = augment.random_resized_crop
                ? random_resized_crop(image, augment, key, output.width, output.height)
                : apply_geometry(image, preprocess);
    shift_and_flip(image, augment, key);
    apply(image, after_augment, out);
  }

  Batch make_batch(const Epoch& pass, int64_t number) const {
    const int64_t begin = number * options.batch_size;
    const int64_t count = std::min(options.batch_size, dataset.size() - begin);
    Batch batch;
    batch.number = number;
    batch.indices.assign(pass.order.begin() + begin, pass.order.begin() + begin + count);
    batch.images = Tensor::empty({count, options.preprocess.channels, output.height, output.width});
    batch.labels = Tensor::empty({count}, DType::i64);
    const int64_t picture = batch.images.numel() / count;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t index = batch.indices[static_cast<size_t>(i)];
      const Sample sample = dataset.get(index);
      batch.labels.data<int64_t>()[i] = sample.label;
      try {
        prepare(sample, {options.seed, pass.number, index}, batch.images.f32() + i * picture);
      } catch (const Error& error) {
        fail("data", "{}: {}", sample.id, error.what());
      }
    }
    return batch;
  }

  void work() {
    std::unique_lock lock(mutex);
    for (;;) {
      work_wanted.wait(lock, [&] {
        return stop || (claimed < end && claimed < handed + std::max(1, options.prefetch));
      });
      if (stop) return;
      const std::shared_ptr<const Epoch> pass = epoch;
      const int64_t number = claimed++;
      lock.unlock();
      Result result;
      try {
        result.batch = make_batch(*pass, number);
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

  Result take() {
    if (options.workers == 0) return {make_batch(*epoch, handed++), nullptr};
    std::unique_lock lock(mutex);
    result_ready.wait(lock, [&] { return results.contains(handed); });
    Result result = std::move(results.extract(handed++).mapped());
    work_wanted.notify_all();
    return result;
  }
};

Loader::Loader(const Dataset& dataset, const LoaderOptions& options)
    : state_(std::make_unique<State>(dataset, options)) {
  check(options.batch_size >= 1, "loader", "batch_size {} is below 1", options.batch_size);
  check(options.workers >= 0 && options.workers <= 256, "loader", "workers {} is outside 0 to 256",
        options.workers);
  check(options.prefetch >= 1, "loader", "prefetch {} is below 1", options.prefetch);
  check(dataset.size() > 0, "loader", "{} has no pictures", dataset.name());
  check_preprocess(options.preprocess);
  check_augment(options.augment);
  check(state_->output.height > 0 && state_->output.width > 0, "loader",
        "the preprocessing gives every picture another size, and a batch wants one; crop or squash "
        "to a fixed size");
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

int64_t Loader::batches_per_epoch() const {
  return state_->num_batches();
}

void Loader::start(int64_t epoch, int64_t first_batch) {
  State& state = *state_;
  const int64_t batches = state.num_batches();
  check(first_batch >= 0 && first_batch <= batches, "loader",
        "batch {} is beyond the epoch, which has {}", first_batch, batches);
  auto pass = std::make_shared<State::Epoch>();
  pass->number = epoch;
  pass->order = epoch_order(state.dataset.size(), state.options.shuffle, state.options.seed, epoch);
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
  if (state.handed >= state.end) return false;
  batch = {};  // its tensors go back to the pool before others are made
  State::Result result;
  try {
    result = state.take();
    if (result.error) std::rethrow_exception(result.error);
  } catch (...) {
    std::lock_guard lock(state.mutex);
    state.end = state.handed;
    throw;
  }
  batch = std::move(result.batch);
  return true;
}

}  // namespace vitrail
