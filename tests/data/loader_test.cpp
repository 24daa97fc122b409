// The loader: the same batches whatever the number of workers, and from the middle of an epoch.
#include "data/loader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

#include "core/memory.h"
#include "data/helpers.h"

namespace vitrail {
namespace {

using namespace test;

LoaderOptions options_for(int workers) {
  LoaderOptions options;
  options.batch_size = 7;
  options.workers = workers;
  options.prefetch = 3;
  options.shuffle = true;
  options.seed = 11;
  options.preprocess.resize = ResizeMode::squash;
  options.preprocess.resize_to = {24, 20};
  options.augment.crop_padding = 3;
  options.augment.flip_probability = 0.5;
  return options;
}

std::unique_ptr<Dataset> small_scenes() {
  return open_dataset("scenes:count=31,size=24", Split::train);
}

bool equal(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

std::vector<Batch> read_epoch(Loader& loader, int64_t epoch, int64_t first = 0) {
  std::vector<Batch> batches;
  loader.start(epoch, first);
  for (Batch batch; loader.next(batch);) batches.push_back(std::move(batch));
  return batches;
}

void expect_equal(const std::vector<Batch>& a, const std::vector<Batch>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].indices, b[i].indices);
    EXPECT_EQ(a[i].number, b[i].number);
    EXPECT_TRUE(equal(a[i].images, b[i].images)) << i;
    EXPECT_TRUE(equal(a[i].labels, b[i].labels)) << i;
  }
}

TEST(Loader, GivesTheSameBatchesWhateverTheNumberOfWorkers) {
  const auto set = small_scenes();
  for (const bool crop : {false, true}) {
    std::vector<std::vector<Batch>> runs;
    for (const int workers : {0, 1, 3}) {
      LoaderOptions options = options_for(workers);
      options.augment.random_resized_crop = crop;
      Loader loader(*set, options);
      EXPECT_EQ(loader.batches_per_epoch(), 5);
      runs.push_back(read_epoch(loader, 2));
    }
    // On a pool that computes meanwhile.
    ThreadPool pool(3);
    LoaderOptions options = options_for(0);
    options.augment.random_resized_crop = crop;
    options.pool = &pool;
    Loader loader(*set, options);
    std::vector<Batch> batches;
    loader.start(2);
    for (Batch batch; loader.next(batch); batches.push_back(std::move(batch))) {
      for (int job = 0; job < 20; ++job) pool.parallel_for(8, [](int64_t, int) {});
    }
    runs.push_back(std::move(batches));
    ASSERT_EQ(runs[0].size(), 5u);
    expect_equal(runs[0], runs[3]);
    EXPECT_EQ(runs[0][0].images.shape(), (Shape{7, 3, 24, 20}));
    EXPECT_EQ(runs[0][4].images.shape(), (Shape{3, 3, 24, 20}));
    expect_equal(runs[0], runs[1]);
    expect_equal(runs[0], runs[2]);
  }
}

TEST(Loader, VisitsEveryPictureOnceAnEpochInAnotherOrder) {
  const auto set = small_scenes();
  Loader loader(*set, options_for(2));
  std::vector<std::vector<int64_t>> orders;
  for (int64_t epoch = 0; epoch < 3; ++epoch) {
    std::vector<int64_t> order;
    for (const Batch& batch : read_epoch(loader, epoch)) {
      order.insert(order.end(), batch.indices.begin(), batch.indices.end());
      for (size_t i = 0; i < batch.indices.size(); ++i)
        EXPECT_EQ(batch.labels.data<int64_t>()[i], set->label(batch.indices[i]));
    }
    EXPECT_EQ(order, epoch_order(31, true, 11, epoch));
    orders.push_back(order);
    std::sort(order.begin(), order.end());
    EXPECT_EQ(order, epoch_order(31, false, 11, epoch));
  }
  EXPECT_NE(orders[0], orders[1]);
  EXPECT_NE(orders[1], orders[2]);
}

TEST(Loader, ResumesInTheMiddleOfAnEpoch) {
  const auto set = small_scenes();
  ThreadPool pool(2);
  for (const int workers : {0, 2, -1}) {
    LoaderOptions options = options_for(std::max(0, workers));
    if (workers < 0) options.pool = &pool;
    Loader loader(*set, options);
    const std::vector<Batch> whole = read_epoch(loader, 4);
    const std::vector<Batch> rest = read_epoch(loader, 4, 3);
    expect_equal({whole.begin() + 3, whole.end()}, rest);
    EXPECT_TRUE(read_epoch(loader, 4, 5).empty());
    expect_mentions(error_of([&] { loader.start(0, 6); }), "batch 6");
  }
}

TEST(Loader, CanBeStartedAgainBeforeTheEpochEnds) {
  const auto set = small_scenes();
  Loader loader(*set, options_for(3));
  const std::vector<Batch> whole = read_epoch(loader, 1);
  ThreadPool pool(2);
  LoaderOptions options = options_for(0);
  options.pool = &pool;
  Loader on_pool(*set, options);
  for (Loader* each : {&loader, &on_pool}) {
    for (int round = 0; round < 20; ++round) {
      each->start(round);
      Batch batch;
      ASSERT_TRUE(each->next(batch));
    }
    expect_equal(whole, read_epoch(*each, 1));
    each->start(0);  // and goes away in the middle
    Batch batch;
    ASSERT_TRUE(each->next(batch));
  }
}

TEST(Loader, LeavesOutTheLastBatchWhenAsked) {
  const auto set = small_scenes();
  LoaderOptions options = options_for(1);
  options.drop_last = true;
  Loader loader(*set, options);
  EXPECT_EQ(loader.batches_per_epoch(), 4);
  EXPECT_EQ(read_epoch(loader, 0).size(), 4u);
}

TEST(Loader, NormalisesAsThePreprocessingSays) {
  const auto set = small_scenes();
  LoaderOptions options = options_for(0);
  options.shuffle = false;
  options.augment = {};
  options.batch_size = 4;
  options.preprocess.mean = {0.4, 0.5, 0.6};
  options.preprocess.std = {0.2, 0.3, 0.4};
  Loader loader(*set, options);
  const std::vector<Batch> batches = read_epoch(loader, 0);
  std::vector<float> expected(3 * 24 * 20);
  apply(set->get(5).image, options.preprocess, expected.data());
  const float* got = batches[1].images.f32() + expected.size();
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), got));
  // Augmentation that does nothing leads to the same numbers by the other way.
  options.augment.flip_probability = 1e-12;
  Loader other(*set, options);
  expect_equal(batches, read_epoch(other, 0));
}

TEST(Loader, TurnsGreyPicturesToTheModelsChannels) {
  DataFolder folder;
  write_plain(folder.path() / "t10k-images-idx3-ubyte", idx_images(2, 3, 3));
  write_plain(folder.path() / "t10k-labels-idx1-ubyte", idx_labels({4, 5}));
  const auto set = open_dataset(folder.spec("mnist"), Split::test);
  LoaderOptions options;
  options.preprocess.resize_to = {3, 3};
  for (const int channels : {1, 3}) {
    options.preprocess.channels = channels;
    Loader loader(*set, options);
    const std::vector<Batch> batches = read_epoch(loader, 0);
    ASSERT_EQ(batches[0].images.shape(), (Shape{2, channels, 3, 3}));
    for (int c = 0; c < channels; ++c)
      EXPECT_FLOAT_EQ(batches[0].images.f32()[c * 9 + 8], (8 / 255.0f - 0.5f) / 0.5f);
  }
}

TEST(Loader, ABrokenPictureStopsTheEpochAndIsNamed) {
  DataFolder folder;
  for (int i = 0; i < 6; ++i)
    write_flat_picture(folder.path() / "a" / (std::to_string(i) + ".png"), 7);
  write_plain(folder.path() / "b" / "broken.png", {0x89, 'P', 'N', 'G', 0});
  const auto set = open_dataset(folder.spec("folder"), Split::all);
  for (const int workers : {0, 2}) {
    LoaderOptions options;
    options.batch_size = 2;
    options.workers = workers;
    options.preprocess.resize_to = {4, 4};
    Loader loader(*set, options);
    loader.start(0);
    Batch batch;
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(loader.next(batch));
    expect_mentions(error_of([&] { loader.next(batch); }), "broken.png");
    EXPECT_FALSE(loader.next(batch));
    loader.start(0);
    EXPECT_TRUE(loader.next(batch));
  }
}

// Broken pictures among good ones: which rows and labels stand for them.
class BrokenPictures : public ::testing::Test {
 protected:
  void SetUp() override {
    for (int i = 0; i < 20; ++i)
      write_flat_picture(folder_.path() / (i % 2 ? "a" : "b") / (std::to_string(i) + ".png"),
                         static_cast<uint8_t>(10 * i));
    write_plain(folder_.path() / "a" / "broken1.png", {0x89, 'P', 'N', 'G', 0});
    write_plain(folder_.path() / "b" / "broken2.png", {0xFF, 0xD8});
    set_ = open_dataset(folder_.spec("folder"), Split::all);
    options_.batch_size = 5;
    options_.preprocess.resize_to = {4, 4};
    options_.max_broken = 0.1;
  }
  DataFolder folder_;
  std::unique_ptr<Dataset> set_;
  LoaderOptions options_;
};

TEST_F(BrokenPictures, AreReplacedByTheNextOneOfTheEpochsOrder) {
  options_.shuffle = true;
  std::vector<std::string> named;
  options_.on_broken = [&](const BrokenPicture& picture) { named.push_back(picture.id); };
  for (const int workers : {0, 3}) {
    options_.workers = workers;
    named.clear();
    Loader loader(*set_, options_);
    for (int64_t epoch = 0; epoch < 3; ++epoch) {
      const std::vector<int64_t> order = epoch_order(22, true, 0, epoch);
      std::vector<int64_t> expected;
      for (size_t i = 0; i < order.size(); ++i) {
        size_t at = i;
        while (set_->id(order[at]).find("broken") != std::string::npos) at = (at + 1) % 22;
        expected.push_back(order[at]);
      }
      std::vector<int64_t> got;
      for (const Batch& batch : read_epoch(loader, epoch))
        got.insert(got.end(), batch.indices.begin(), batch.indices.end());
      EXPECT_EQ(got, expected);
      const std::vector<Batch> rest = read_epoch(loader, epoch, 3);
      EXPECT_EQ(rest[0].indices, std::vector(expected.begin() + 15, expected.begin() + 20));
    }
    std::sort(named.begin(), named.end());
    EXPECT_EQ(named, (std::vector<std::string>{"a/broken1.png", "b/broken2.png"}));
    EXPECT_EQ(loader.broken().size(), 2u);
  }
}

TEST_F(BrokenPictures, AreLeftOutOfAnEvaluation) {
  Loader loader(*set_, options_);
  std::vector<int64_t> got;
  for (const Batch& batch : read_epoch(loader, 0)) {
    ASSERT_EQ(batch.images.size(0), static_cast<int64_t>(batch.indices.size()));
    ASSERT_EQ(batch.labels.size(0), batch.images.size(0));
    for (size_t i = 0; i < batch.indices.size(); ++i) {
      const int64_t index = batch.indices[i];
      got.push_back(index);
      EXPECT_EQ(batch.labels.data<int64_t>()[i], set_->label(index));
      const float value = static_cast<float>(set_->get(index).image.pixels[0]) / 255.0f;
      EXPECT_FLOAT_EQ(batch.images.f32()[i * 48], (value - 0.5f) / 0.5f);
    }
  }
  EXPECT_EQ(got.size(), 20u);
  EXPECT_TRUE(std::is_sorted(got.begin(), got.end()));
}

TEST_F(BrokenPictures, AreAnErrorBeyondTheLimit) {
  options_.max_broken = 0.05;
  ThreadPool pool(2);
  options_.workers = 0;
  for (const bool shuffle : {false, true}) {
    options_.shuffle = shuffle;
    options_.pool = shuffle ? &pool : nullptr;
    Loader loader(*set_, options_);
    const std::string message = error_of([&] { read_epoch(loader, 0); });
    expect_mentions(message, "2 broken of 22 pictures, and the limit is 1 (5%)");
    expect_mentions(message, "broken");
  }
}

TEST(Loader, StopEndsTheEpochAndFreesThePool) {
  const auto set = small_scenes();
  ThreadPool pool(2);
  for (const int workers : {0, 2}) {
    LoaderOptions options = options_for(workers);
    options.batch_size = 4;
    options.pool = &pool;
    Loader stopped(*set, options), other(*set, options);
    const std::vector<Batch> whole = read_epoch(other, 1);
    Batch batch;
    stopped.start(1);
    ASSERT_TRUE(stopped.next(batch));
    stopped.stop();
    EXPECT_FALSE(stopped.next(batch));
    EXPECT_EQ(read_epoch(other, 1).size(), whole.size());
    stopped.start(1, 2);
    ASSERT_TRUE(stopped.next(batch));
    EXPECT_EQ(batch.indices, whole[2].indices);
    EXPECT_TRUE(std::ranges::equal(batch.images.values(), whole[2].images.values()));
  }
}

TEST(Loader, RanksTakeTheBatchesOfOneOrderInTurn) {
  const auto set = small_scenes();
  for (const bool drop_last : {false, true}) {
    LoaderOptions options = options_for(2);
    options.drop_last = drop_last;
    options.batch_size = 4;
    options.mix.mixup_alpha = 1;
    Loader one(*set, options);
    const std::vector<Batch> whole = read_epoch(one, 3);
    std::vector<std::vector<Batch>> shares;
    options.ranks = 2;
    for (options.rank = 0; options.rank < 2; ++options.rank) {
      Loader loader(*set, options);
      shares.push_back(read_epoch(loader, 3));
      EXPECT_EQ(static_cast<int64_t>(shares.back().size()), loader.batches_per_epoch());
    }
    EXPECT_EQ(shares[0].size(), drop_last ? 3u : 4u);
    EXPECT_EQ(shares[1].size(), drop_last ? 3u : 4u);
    for (size_t i = 0; i < shares[0].size() + shares[1].size(); ++i) {
      const Batch& share = shares[i % 2][i / 2];
      EXPECT_EQ(whole[i].indices, share.indices);
      EXPECT_TRUE(equal(whole[i].images, share.images));
      EXPECT_TRUE(equal(whole[i].targets, share.targets));
    }
  }
}

TEST(Loader, RepeatsAPictureWithOtherChanges) {
  const auto set = small_scenes();
  LoaderOptions options = options_for(1);
  options.augment.repeats = 3;
  Loader loader(*set, options);
  const std::vector<int64_t> order = epoch_order(31, true, 11, 0);
  std::vector<int64_t> got;
  int differing = 0;
  for (const Batch& batch : read_epoch(loader, 0)) {
    for (size_t i = 0; i + 1 < batch.indices.size(); ++i) {
      if (batch.indices[i] != batch.indices[i + 1]) continue;
      const float* picture = batch.images.f32() + i * 3 * 24 * 20;
      differing += !std::equal(picture, picture + 3 * 24 * 20, picture + 3 * 24 * 20);
    }
    got.insert(got.end(), batch.indices.begin(), batch.indices.end());
  }
  ASSERT_EQ(got.size(), 31u);
  for (size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], order[i / 3]);
  EXPECT_GT(differing, 10);
}

TEST(Loader, GivesSeveralCropsOfAPicture) {
  const auto set = small_scenes();
  for (const int workers : {0, 2}) {
    LoaderOptions options = options_for(workers);
    AugmentOptions crop;
    crop.random_resized_crop = true;
    options.views = {{{24, 20}, crop}, {{24, 20}, crop}, {{8, 12}, crop}};
    Loader loader(*set, options);
    const std::vector<Batch> batches = read_epoch(loader, 0);
    ASSERT_EQ(batches[0].views.size(), 3u);
    EXPECT_EQ(batches[0].views[2].shape(), (Shape{7, 3, 8, 12}));
    EXPECT_TRUE(equal(batches[0].images, batches[0].views[0]));
    EXPECT_FALSE(equal(batches[0].views[0], batches[0].views[1]));
    const int64_t index = batches[0].indices[2];
    const Image expected =
        random_resized_crop(set->get(index).image, crop, {11, 0, index, 0, 2}, 12, 8);
    Preprocess rest = options.preprocess;
    rest.resize = ResizeMode::none;
    std::vector<float> values(3 * 8 * 12);
    apply(expected, rest, values.data());
    EXPECT_TRUE(
        std::equal(values.begin(), values.end(), batches[0].views[2].f32() + 2 * values.size()));
  }
}

// Counts the pictures that were asked for.
class CountingSet : public Dataset {
 public:
  explicit CountingSet(const Dataset& set) : set_(set) { classes_ = set.classes(); }
  int64_t size() const override { return set_.size(); }
  Sample get(int64_t index) const override {
    ++asked;
    return set_.get(index);
  }
  int64_t label(int64_t index) const override { return set_.label(index); }
  std::string id(int64_t index) const override { return set_.id(index); }
  mutable std::atomic<int64_t> asked{0};

 private:
  const Dataset& set_;
};

TEST(Loader, KeepsWithinTheBytesItMayPrefetch) {
  const auto scenes = small_scenes();
  constexpr int64_t kBatchBytes = int64_t{7} * 3 * 24 * 20 * 4;
  for (const int64_t batches : {0, 1, 2, 3, 9}) {
    const CountingSet set(*scenes);
    LoaderOptions options = options_for(3);  // prefetch 3
    options.prefetch_bytes = batches * kBatchBytes + 100;
    Loader loader(set, options);
    loader.start(0);
    const int64_t expected = 7 * std::clamp<int64_t>(batches, 1, 3);
    while (set.asked < expected) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_EQ(set.asked, expected) << batches;
  }
}

TEST(Loader, AsksTheSystemForNothingInASecondEpoch) {
  const auto set = small_scenes();
  Loader loader(*set, options_for(0));
  const auto drain = [&](int64_t epoch) {
    loader.start(epoch);
    for (Batch batch; loader.next(batch);) {
    }
  };
  drain(0);
  const uint64_t before = memory_stats().system_allocations;
  drain(1);
  EXPECT_EQ(memory_stats().system_allocations, before);
}

TEST(Loader, RefusesBadOptions) {
  const auto set = small_scenes();
  const auto message = [&](auto change) {
    LoaderOptions options = options_for(1);
    change(options);
    return error_of([&] { Loader loader(*set, options); });
  };
  expect_mentions(message([](LoaderOptions& o) { o.batch_size = 0; }), "batch_size 0");
  expect_mentions(message([](LoaderOptions& o) { o.workers = -1; }), "workers -1");
  expect_mentions(message([](LoaderOptions& o) { o.prefetch = 0; }), "prefetch 0");
  expect_mentions(message([](LoaderOptions& o) { o.augment.crop_padding = -1; }),
                  "crop_padding is -1");
  expect_mentions(message([](LoaderOptions& o) {
                    o.preprocess.resize = ResizeMode::shortest_edge;
                    o.preprocess.crop = CropRule::none;
                  }),
                  "another size");
  Loader loader(*set, options_for(0));
  Batch batch;
  expect_mentions(error_of([&] { loader.next(batch); }), "start()");
}

}  // namespace
}  // namespace vitrail
