// Long calls end when they are asked to, with an error of its own kind, and leave things as they
// were; and what the library has to say goes to a callback.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "api/small_world.h"

namespace vit {
namespace {

using testing::SmallWorld;

TEST(ApiStop, AStopBeforeTheCallEndsItAtOnce) {
  const SmallWorld world;
  std::stop_source source;
  source.request_stop();
  const std::stop_token stop = source.get_token();
  EXPECT_REFUSED(Model(world.model(), {.stop = stop}), cancelled, "asked to stop");
  Session session{Model(world.model())};
  const std::vector<Picture> pictures{world.picture(0), world.picture(1)};
  EXPECT_REFUSED(session.classify(pictures, {.stop = stop}), cancelled, "asked to stop");
  EXPECT_REFUSED(session.features(pictures, {.stop = stop}), cancelled, "asked to stop");
  EXPECT_REFUSED(session.explain(pictures, {.stop = stop}), cancelled, "asked to stop");
  EXPECT_REFUSED(session.classify(world.picture(0), {.stop = stop}), cancelled, "asked to stop");
  // A stop is one call's.
  EXPECT_TRUE(session.classify(pictures)[1].has_value());
  EXPECT_EQ(session.explain(world.picture(0)).layers(), 2);
}

TEST(ApiStop, AStopBetweenBatchesLeavesTheRest) {
  const SmallWorld world;
  const std::vector<Picture> pictures(50, Picture(world.picture(0)));
  for (const int batch : {1, 4}) {
    Session session(Model(world.model()), {.batch = batch});
    std::stop_source source;
    std::int64_t reached = 0;
    const auto progress = [&](std::int64_t done, std::int64_t) {
      reached = done;
      if (done >= 8) source.request_stop();
    };
    EXPECT_REFUSED(session.classify(pictures, {.stop = source.get_token(), .progress = progress}),
                   cancelled, "asked to stop");
    EXPECT_EQ(reached, 8);
  }
}

// One pass of one picture is interrupted between its layers: it ends long before it would be done.
TEST(ApiStop, AStopEndsAPassBetweenItsLayers) {
  auto config = vitrail::testing::small_config();
  config.depth = 400;
  config.embed_dim = 48;
  const SmallWorld world(config);
  Session session(Model(world.model(), {.size = PictureSize{128, 128}}), {.threads = 1});
  const auto took = [&](const std::stop_token& stop) {
    const auto begin = std::chrono::steady_clock::now();
    try {
      (void)session.features(world.picture(0), {.stop = stop});
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::cancelled);
    }
    return std::chrono::steady_clock::now() - begin;
  };
  const auto whole = took({});
  // The stop comes from another thread while the pass runs, at a tenth of it. However busy the
  // machine is, one of several tries ends early.
  bool early = false;
  for (int i = 0; i < 20 && !early; ++i) {
    std::stop_source source;
    std::jthread stopper([&] {
      std::this_thread::sleep_for(whole / 10);
      source.request_stop();
    });
    early = took(source.get_token()) < whole * 2 / 3;
  }
  EXPECT_TRUE(early);
}

TEST(ApiStop, LoadingStopsBetweenWeights) {
  const SmallWorld world;
  std::stop_source source;
  std::int64_t read = 0;
  EXPECT_REFUSED(Model(world.model(), {.threads = 1,
                                       .stop = source.get_token(),
                                       .progress =
                                           [&](std::int64_t done, std::int64_t) {
                                             read = done;
                                             if (done == 3) source.request_stop();
                                           }}),
                 cancelled, "asked to stop");
  EXPECT_EQ(read, 3);
}

TEST(ApiStop, TrainingStopsWithACheckpointAndGoesOn) {
  const SmallWorld world;
  TrainOptions options{.data = "scenes:size=16,count=64,val=8,test=8",
                       .output = world / "run",
                       .settings = {{"epochs", "2"}, {"batch_size", "8"}, {"depth", "1"}},
                       .threads = 1};
  std::stop_source source;
  options.stop = source.get_token();
  std::int64_t reached = 0, steps = 0;
  const auto progress = [&](const TrainProgress& p) {
    reached = p.step;
    steps = p.steps;
    if (p.step == 5) source.request_stop();
  };
  EXPECT_REFUSED(train(options, progress), cancelled, "TrainOptions::resume");
  EXPECT_EQ(reached, 5);
  // Without `resume` a run is not written over, and the advice is a member's name.
  options.stop = {};
  EXPECT_REFUSED(train(options, progress), bad_input, "TrainOptions::resume");
  options.resume = true;
  const TrainResult result = train(options, progress);
  EXPECT_EQ(reached, steps);
  EXPECT_EQ(result.evaluated, 8);
  EXPECT_NO_THROW((void)Session(Model((world / "run").string())).classify(world.picture(0)));
}

TEST(ApiLog, NotesGoToTheCallbackAndNowhereElse) {
  const SmallWorld world;
  ::testing::internal::CaptureStderr();
  ::testing::internal::CaptureStdout();
  (void)Model("scenes");  // before there is a callback
  std::vector<std::pair<LogLevel, std::string>> messages;
  set_log_callback(
      [&](LogLevel level, const std::string& message) { messages.emplace_back(level, message); });
  const Model bundled("scenes");
  const std::filesystem::path golden =
      std::filesystem::path(VITRAIL_SOURCE_DIR) / "tests/golden/models/timm";
  const Model unnamed((golden / "augreg").string());
  set_log_callback({});
  (void)Model("scenes");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "");
  ASSERT_FALSE(messages.empty());
  EXPECT_NE(messages.front().second.find("scenes"), std::string::npos);
  // Each note of the model is a message.
  for (const Note& note : unnamed.notes()) {
    const auto sent = std::ranges::find_if(messages, [&](const auto& message) {
      return message.first == note.level && message.second.ends_with(note.text);
    });
    EXPECT_NE(sent, messages.end()) << note.text;
  }
  for (const auto& [level, message] : messages) testing::expect_well_said(message);
}

TEST(ApiLog, WhatACallbackThrowsIsDropped) {
  set_log_callback([](LogLevel, const std::string&) { throw 1; });
  EXPECT_NO_THROW(Model("scenes"));
  set_log_callback({});
}

}  // namespace
}  // namespace vit
