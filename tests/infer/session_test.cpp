#include "infer/session.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>
#include <new>
#include <stdexcept>
#include <thread>

#include "core/error.h"
#include "core/memory.h"
#include "infer/small_models.h"
#include "support/comes_true.h"

namespace vitrail {
namespace {

using testing::comes_true;
using testing::model_of;
using testing::same_bits;
using testing::scenes;
using testing::small_config;
using testing::TemporaryFolder;
using testing::varied_configs;

TEST(Session, AnswersDependNeitherOnThreadsNorOnTheBatch) {
  const std::vector<Image> pictures = scenes(9);
  for (const VitConfig& config : varied_configs()) {
    SCOPED_TRACE(to_json(config).dump());
    const auto model = model_of(config);
    const Tensor expected = Session(model, {.threads = 1, .batch = 1}).logits(pictures);
    ASSERT_EQ(expected.shape(), (Shape{9, 7}));
    for (const int threads : {1, 2, 3})
      for (const int batch : {1, 8})
        EXPECT_TRUE(same_bits(Session(model, {.threads = threads, .batch = batch}).logits(pictures),
                              expected))
            << threads << " threads, batch " << batch;
  }
}

TEST(Session, PackingTheWeightsChangesNothing) {
  const std::vector<Image> pictures = scenes(2);
  const auto kept = model_of(small_config()), packed = model_of(small_config());
  const Tensor expected = Session(kept, {.threads = 1, .pack = false}).logits(pictures);
  EXPECT_TRUE(same_bits(Session(packed, {.threads = 1}).logits(pictures), expected));
  // Without packing the weights stay readable.
  EXPECT_NO_THROW(kept->network->parameters().at("blocks.0.mlp.fc1.weight").value());
}

TEST(Session, ASecondPassAsksTheSystemForNoMemory) {
  for (const VitConfig& config : varied_configs()) {
    Session session(model_of(config), {.threads = 2, .batch = 4});
    const std::vector<Image> pictures = scenes(4);
    session.logits(pictures);
    const uint64_t before = memory_stats().system_allocations;
    for (int i = 0; i < 3; ++i) session.logits(pictures);
    EXPECT_EQ(memory_stats().system_allocations, before);
  }
}

TEST(Session, SessionsOfOneModelRunAtTheSameTime) {
  const std::vector<Image> pictures = scenes(5);
  for (const bool pack : {true, false}) {
    const auto model = model_of(varied_configs()[1]);
    std::vector<Tensor> answers(3);
    std::vector<std::thread> threads;
    for (Tensor& answer : answers)
      threads.emplace_back([&] {
        Session session(model, {.threads = 1, .batch = 2, .pack = pack});
        for (int i = 0; i < 5; ++i) answer = session.logits(pictures);
      });
    for (std::thread& thread : threads) thread.join();
    const Tensor expected = Session(model, {.threads = 1, .batch = 2}).logits(pictures);
    for (const Tensor& answer : answers) EXPECT_TRUE(same_bits(answer, expected));
  }
}

TEST(Session, AProbeAndAnObserverSeeTheRunAndDoNotChangeIt) {
  Session session(model_of(small_config()), {.threads = 2});
  const Tensor images = session.prepare(scenes(2)).images;
  const Tensor expected = session.run(images).logits.value();
  AttentionProbe probe({.queries = {0}});
  std::vector<std::string> seen;
  const NetworkOutput output = session.run(
      images, {.probe = &probe,
               .observer = [&](const std::string& path, const Tensor&) { seen.push_back(path); }});
  EXPECT_TRUE(same_bits(output.logits.value(), expected));
  EXPECT_EQ(seen, (std::vector<std::string>{"patch_embed", "tokens", "blocks.0", "blocks.1", "norm",
                                            "pooled", "head"}));
  ASSERT_EQ(probe.records().size(), 2u);
  const Tensor& rows = probe.record("blocks.1.attn").rows;
  ASSERT_EQ(rows.shape(), (Shape{2, 3, 1, 17}));
  double sum = 0;
  for (int64_t i = 0; i < 17; ++i) sum += rows.f32()[i];
  EXPECT_NEAR(sum, 1, 1e-5);
}

TEST(Session, APictureThatCannotBeReadLeavesTheOthersAlone) {
  const TemporaryFolder folder("session_files");
  const std::vector<Image> pictures = scenes(2);
  write_png(folder / "a.png", pictures[0]);
  write_png(folder / "c.png", pictures[1]);
  const std::vector<std::string> paths = {folder / "a.png", folder / "missing.png",
                                          folder / "c.png"};
  Session session(model_of(small_config()), {.threads = 2});
  const PreparedBatch batch = session.prepare_files(paths);
  EXPECT_EQ(batch.errors[0], "");
  EXPECT_NE(batch.errors[1].find("missing.png"), std::string::npos) << batch.errors[1];
  EXPECT_EQ(batch.errors[2], "");
  const Tensor alone = session.prepare(pictures).images;
  EXPECT_TRUE(same_bits(batch.images.rows(0, 1), alone.rows(0, 1)));
  EXPECT_TRUE(same_bits(batch.images.rows(2, 3), alone.rows(1, 2)));
  for (const float value : batch.images.rows(1, 2).values()) EXPECT_EQ(value, 0.0f);
}

TEST(Session, FilesComeBatchByBatchInOrder) {
  const TemporaryFolder folder("session_batches");
  std::vector<std::string> paths;
  for (const Image& picture : scenes(5)) {
    paths.push_back(folder / (std::to_string(paths.size()) + ".png"));
    write_png(paths.back(), picture);
  }
  Session session(model_of(small_config()), {.threads = 1, .batch = 2});
  std::vector<std::pair<size_t, size_t>> seen;
  session.for_each_batch(paths, [&](size_t first, const PreparedBatch& batch) {
    seen.emplace_back(first, batch.errors.size());
  });
  EXPECT_EQ(seen, (std::vector<std::pair<size_t, size_t>>{{0, 2}, {2, 2}, {4, 1}}));
}

TEST(Session, TheNextBatchIsPreparedDuringThisOneAndNoMore) {
  const std::vector<Image> pictures = scenes(9);
  const auto model = model_of(small_config());
  const Tensor expected = Session(model, {.threads = 1}).prepare(pictures).images;
  for (const int threads : {1, 2, 3}) {
    Session session(model, {.threads = threads, .batch = 3});
    const auto caller = std::this_thread::get_id();
    std::atomic<int> begun{0}, ended{0}, elsewhere{0};
    size_t visited = 0;
    session.for_each_batch(
        9,
        [&](int64_t i) {
          ++begun;
          if (std::this_thread::get_id() != caller) ++elsewhere;
          Image picture = pictures[static_cast<size_t>(i)];
          ++ended;
          return picture;
        },
        [&](size_t first, const PreparedBatch& batch) {
          EXPECT_EQ(first, visited);
          visited += batch.errors.size();
          const auto begin = static_cast<int64_t>(first);
          EXPECT_TRUE(same_bits(batch.images, expected.rows(begin, begin + 3)));
          const int ahead = static_cast<int>(std::min<size_t>(9, visited + 3));
          // One thread computes, or prepares; with more, the others are idle now.
          EXPECT_TRUE(threads == 1 || comes_true([&] { return ended == ahead; }));
          EXPECT_LE(begun, ahead);
        });
    EXPECT_EQ(visited, 9u);
    EXPECT_EQ(ended, 9);
    EXPECT_TRUE(threads > 1 || elsewhere == 0);
  }
}

TEST(Session, TroubleWithAPictureStaysInItsPlace) {
  const std::vector<Image> pictures = scenes(6);
  for (const int threads : {1, 2}) {
    Session session(model_of(small_config()), {.threads = threads, .batch = 2});
    const auto picture = [&](int64_t i) {
      if (i == 3) throw Error("picture", "number 3 is torn");
      return pictures[static_cast<size_t>(i)];
    };
    std::vector<std::string> errors;
    session.for_each_batch(6, picture, [&](size_t, const PreparedBatch& batch) {
      session.run(batch.images);
      errors.insert(errors.end(), batch.errors.begin(), batch.errors.end());
    });
    EXPECT_EQ(errors, (std::vector<std::string>{"", "", "", "[picture] number 3 is torn", "", ""}));
    // What visit() throws ends it, with a batch in preparation or without.
    for (const size_t last : {0, 2, 4}) {
      size_t visits = 0;
      EXPECT_THROW(session.for_each_batch(6, picture,
                                          [&](size_t first, const PreparedBatch&) {
                                            ++visits;
                                            if (first == last) throw std::runtime_error("enough");
                                          }),
                   std::runtime_error);
      EXPECT_EQ(visits, last / 2 + 1);
    }
    // And so does what is no Error, when its batch is due.
    size_t visits = 0;
    const auto broken = [&](int64_t i) {
      if (i == 4) throw std::bad_alloc();
      return pictures[static_cast<size_t>(i)];
    };
    EXPECT_THROW(session.for_each_batch(6, broken, [&](size_t, const PreparedBatch&) { ++visits; }),
                 std::bad_alloc);
    EXPECT_EQ(visits, 2u);
  }
}

TEST(Session, TheCamerasOrientationCanBeOverridden) {
  const std::string photo = std::string(VITRAIL_SOURCE_DIR) + "/tests/golden/image/exif_6.jpg";
  const auto model = model_of(small_config());
  const auto pixels = [&](std::optional<ExifPolicy> exif) {
    Session session(model, {.threads = 1, .exif = exif});
    const PreparedBatch batch = session.prepare_files(std::vector<std::string>{photo});
    EXPECT_EQ(batch.errors[0], "");
    return batch.images;
  };
  EXPECT_FALSE(same_bits(pixels(ExifPolicy::apply), pixels(ExifPolicy::ignore)));
  EXPECT_TRUE(same_bits(pixels(std::nullopt), pixels(ExifPolicy::ignore)));  // the family's own
}

TEST(Session, PicturesOfSizesOfTheirOwnGoOneByOne) {
  auto model = model_of(small_config());
  model->preprocess.resize = ResizeMode::none;
  Session session(model, {.threads = 1, .batch = 8});
  EXPECT_EQ(session.batch_size(), 1);
  EXPECT_THROW(session.input_size(), Error);
  std::vector<Image> pictures = scenes(1, 32);
  pictures.push_back(scenes(1, 64)[0]);
  EXPECT_EQ(session.logits(pictures).shape(), (Shape{2, 7}));
  EXPECT_THROW(session.prepare(pictures), Error);
}

TEST(Session, RefusesOptionsOutOfRange) {
  const auto model = model_of(small_config());
  EXPECT_THROW(Session(model, {.threads = -1}), Error);
  EXPECT_THROW(Session(model, {.threads = 1, .batch = 0}), Error);
  auto grey = model_of(small_config());
  grey->preprocess.channels = 1;
  EXPECT_THROW(Session(grey, {.threads = 1}), Error);
}

}  // namespace
}  // namespace vitrail
