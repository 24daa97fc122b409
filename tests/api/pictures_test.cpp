// Pictures of every kind, alone and among others, of which some cannot be read.
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "api/small_world.h"

namespace vit {
namespace {

using testing::bytes_of;
using testing::SmallWorld;

std::vector<float> logits_of(const Classification& answer) {
  std::vector<float> logits(answer.top.size());
  for (const Prediction& p : answer.top) logits[static_cast<size_t>(p.index)] = p.logit;
  return logits;
}

Frame frame_of(const vitrail::Image& image) {
  return {.pixels = image.pixels.data(), .width = image.width, .height = image.height};
}

TEST(ApiPictures, OnePictureIsTheSameWhereverItLies) {
  const SmallWorld world;
  Session session{Model(world.model())};
  const std::vector<float> expected =
      logits_of(session.classify(std::filesystem::path(world.picture(2)), {.top = 7}));
  const std::vector<std::byte> bytes = bytes_of(world.picture(2));
  std::vector<std::uint8_t> same(bytes.size());
  std::memcpy(same.data(), bytes.data(), bytes.size());
  for (const Picture& picture :
       {Picture(world.picture(2).c_str()), Picture(world.picture(2)), Picture(bytes), Picture(same),
        Picture(std::span(bytes)), Picture(std::span<const std::uint8_t>(same)),
        Picture(frame_of(world.image(2)))}) {
    EXPECT_EQ(logits_of(session.classify(picture, {.top = 7})), expected);
    const Picture copy = picture;
    EXPECT_EQ(logits_of(session.classify(copy, {.top = 7})), expected);
  }
}

TEST(ApiPictures, FramesHaveStridesAndOrders) {
  const SmallWorld world;
  Session session{Model(world.model())};
  const vitrail::Image& image = world.image(1);
  const std::vector<float> expected = logits_of(session.classify(frame_of(image), {.top = 7}));
  const int stride = 4 * image.width + 24;
  std::vector<std::uint8_t> memory(static_cast<size_t>(stride) * image.height, 99);
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < image.width; ++x)
      for (int c = 0; c < 3; ++c) memory[y * stride + 4 * x + 2 - c] = image.row(y)[3 * x + c];
  const Frame down{.pixels = memory.data(),
                   .width = image.width,
                   .height = image.height,
                   .row_stride = stride,
                   .order = ChannelOrder::bgra};
  EXPECT_EQ(logits_of(session.classify(down, {.top = 7})), expected);
  for (int y = 0; y < image.height / 2; ++y)
    std::swap_ranges(memory.begin() + y * stride, memory.begin() + (y + 1) * stride,
                     memory.begin() + (image.height - 1 - y) * stride);
  Frame up = down;
  up.pixels += static_cast<ptrdiff_t>(image.height - 1) * stride;
  up.row_stride = -stride;
  EXPECT_EQ(logits_of(session.classify(up, {.top = 7})), expected);
}

TEST(ApiPictures, OneBadPictureIsOneError) {
  const SmallWorld world;
  const Model model(world.model());
  std::vector<std::byte> torn = bytes_of(world.picture(1));
  torn.resize(torn.size() / 2);
  const std::vector<std::byte> nothing, text(100, std::byte{'x'});
  const std::string bomb_header =
      "P6 is no format; a PNG of 60000x60000 follows in the other test of the image layer";
  std::ofstream(world / "notes.txt") << bomb_header;
  Picture moved(world.picture(0));
  const Picture taken = std::move(moved);
  const vitrail::Image& image = world.image(3);
  const Frame narrow{.pixels = image.pixels.data(), .width = 40, .height = 40, .row_stride = 7};
  const std::vector<Picture> pictures{
      world.picture(0),
      (world / "missing.png").string(),
      torn,
      world.picture(1),
      nothing,
      world.model_folder().string(),
      text,
      Frame{},
      narrow,
      Frame{.pixels = image.pixels.data(), .width = -4, .height = 4},
      Frame{.pixels = image.pixels.data(),
            .width = 4,
            .height = 4,
            .order = static_cast<ChannelOrder>(50)},
      world / "notes.txt",
      std::string("zero\0byte.png", 13),
      moved,  // NOLINT: what a move leaves is looked at
      taken,
      frame_of(image),
  };
  using E = ErrorCode;
  const std::vector<std::optional<E>> expected{
      std::nullopt,   E::not_found, E::bad_input, std::nullopt, E::bad_input, E::bad_input,
      E::unsupported, E::bad_input, E::bad_input, E::bad_input, E::bad_input, E::unsupported,
      E::bad_input,   E::bad_input, std::nullopt, std::nullopt};
  for (const int batch : {1, 3, 64}) {
    Session session(model, {.threads = 2, .batch = batch});
    const auto answers = session.classify(pictures);
    const auto features = session.features(pictures);
    const auto explanations = session.explain(pictures);
    ASSERT_EQ(answers.size(), pictures.size());
    ASSERT_EQ(features.size(), pictures.size());
    ASSERT_EQ(explanations.size(), pictures.size());
    for (size_t i = 0; i < pictures.size(); ++i) {
      SCOPED_TRACE(i);
      ASSERT_EQ(answers[i].has_value(), !expected[i]);
      ASSERT_EQ(features[i].has_value(), !expected[i]);
      ASSERT_EQ(explanations[i].has_value(), !expected[i]);
      if (!expected[i]) {
        const Classification alone = session.classify(pictures[i]);
        EXPECT_EQ(answers[i]->top.front().logit, alone.top.front().logit);
        EXPECT_EQ(features[i]->values, session.features(pictures[i]).values);
        EXPECT_EQ(explanations[i]->answer().top.front().index, alone.top.front().index);
        continue;
      }
      for (const Error& error :
           {answers[i].error(), features[i].error(), explanations[i].error()}) {
        testing::expect_well_said(error.what());
        EXPECT_EQ(error.code(), *expected[i]) << error.what();
        EXPECT_STREQ(error.what(), answers[i].error().what());
      }
      // Alone it is thrown, in the same words.
      const testing::Refusal refusal =
          testing::refusal_of([&] { (void)session.classify(pictures[i]); });
      EXPECT_EQ(refusal.code, *expected[i]);
      EXPECT_EQ(refusal.message, answers[i].error().what());
      EXPECT_EQ(refusal.place, answers[i].error().place());
    }
  }
  EXPECT_NE(std::string(Session(model).classify(pictures)[1].error().what()).find("missing.png"),
            std::string::npos);
}

TEST(ApiPictures, ANullPointerIsNoPath) {
  const char* none = nullptr;
  EXPECT_REFUSED(Picture(none), bad_input, "null pointer");
}

TEST(ApiPictures, NoPicturesHaveNoAnswers) {
  const SmallWorld world;
  Session session{Model(world.model())};
  EXPECT_TRUE(session.classify(std::span<const Picture>()).empty());
  EXPECT_TRUE(session.features(std::span<const Picture>()).empty());
  EXPECT_TRUE(session.explain(std::span<const Picture>()).empty());
}

// A model whose pictures keep a size of their own takes them one by one.
TEST(ApiPictures, PicturesOfTheirOwnSizeGoOneByOne) {
  const SmallWorld world;
  std::string config = testing::text_of(world.model_folder() / "config.json");
  const size_t at = config.find("\"squash\"");
  ASSERT_NE(at, std::string::npos);
  config.replace(at, 8, "\"none\"");
  std::ofstream(world.model_folder() / "config.json") << config;
  Session session{Model(world.model())};
  EXPECT_EQ(Model(world.model()).preprocessing().size.height, 0);
  const std::vector<Picture> pictures{world.picture(0), "missing.png", world.picture(1)};
  const auto features = session.features(pictures, {.kind = FeatureOptions::Kind::patches});
  EXPECT_EQ(features[0]->shape, (std::vector<std::int64_t>{5, 5, 24}));
  EXPECT_EQ(features[1].error().code(), ErrorCode::not_found);
  EXPECT_EQ(session.classify(pictures)[1].error().code(), ErrorCode::not_found);
  EXPECT_TRUE(session.explain(pictures)[2].has_value());
}

TEST(ApiPictures, ProgressCountsThem) {
  const SmallWorld world;
  Session session(Model(world.model()), {.batch = 2});
  const std::vector<Picture> pictures{world.picture(0), world.picture(1), world.picture(2)};
  std::vector<std::pair<std::int64_t, std::int64_t>> told;
  const auto progress = [&](std::int64_t done, std::int64_t total) {
    told.emplace_back(done, total);
  };
  (void)session.classify(pictures, {.progress = progress});
  using Steps = std::vector<std::pair<std::int64_t, std::int64_t>>;
  EXPECT_EQ(told, (Steps{{2, 3}, {3, 3}}));
  told.clear();
  (void)session.explain(pictures, {.progress = progress});
  EXPECT_EQ(told, (Steps{{1, 3}, {2, 3}, {3, 3}}));
}

TEST(ApiPictures, ASessionIsOneThreadsAtATime) {
  const SmallWorld world;
  Session session{Model(world.model())};
  std::atomic<bool> refused{false};
  (void)session.classify(world.picture(0), {.progress = [&](std::int64_t, std::int64_t) {
                           std::thread([&] {
                             refused = testing::refusal_of([&] {
                                         (void)session.features(world.picture(0));
                                       }).message.find("another thread") != std::string::npos;
                           }).join();
                         }});
  EXPECT_TRUE(refused);
  EXPECT_EQ(session.features(world.picture(0)).values.size(), 24u);
}

}  // namespace
}  // namespace vit
