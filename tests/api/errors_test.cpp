// Nothing but vit::Error comes out of include/vitrail, and each of them says what kind it is.
#include <gtest/gtest.h>

#include <sys/stat.h>

#include <fstream>

#include "api/small_world.h"

namespace vit {
namespace {

using testing::bytes_of;
using testing::SmallWorld;

TEST(ApiErrors, AnErrorKeepsItsPartsWhenItIsCopiedAndMoved) {
  Error first("place", "message", ErrorCode::not_found);
  const Error moved(std::move(first));
  for (const Error& error : {Error(first), moved}) {  // NOLINT: what a move leaves is looked at
    EXPECT_STREQ(error.what(), "[place] message");
    EXPECT_EQ(error.place(), "place");
    EXPECT_EQ(error.code(), ErrorCode::not_found);
  }
  static_assert(std::is_nothrow_copy_constructible_v<Error>);
  static_assert(std::is_nothrow_copy_assignable_v<Error>);
}

TEST(ApiErrors, AResultGivesItsAnswerOrItsError) {
  const Result<int> answer(3);
  EXPECT_TRUE(answer.has_value());
  EXPECT_EQ(*answer, 3);
  EXPECT_REFUSED(answer.error(), bad_input, "holds an answer");
  Result<std::string> none(Error("picture", "is torn", ErrorCode::too_large));
  EXPECT_FALSE(none);
  EXPECT_EQ(none.error().code(), ErrorCode::too_large);
  EXPECT_REFUSED(none.value(), too_large, "is torn");
  EXPECT_REFUSED(none->size(), too_large, "is torn");
  EXPECT_REFUSED(std::move(none).value(), too_large, "is torn");
}

TEST(ApiErrors, ObjectsThatWereMovedFromSaySo) {
  const SmallWorld world;
  Model model(world.model());
  Session session(model);
  Explanation explanation = session.explain(world.picture(0));
  Picture picture(world.picture(0));

  const Session other = std::move(session);
  const Explanation explained = std::move(explanation);
  const Picture seen = std::move(picture);
  const Model loaded = std::move(model);
  // NOLINTBEGIN: what a move leaves is looked at
  for (const auto& refused : std::vector<std::function<void()>>{
           [&] { (void)session.classify(world.picture(0)); },
           [&] { (void)session.classify(std::span<const Picture>()); },
           [&] { (void)session.features(world.picture(0)); },
           [&] { (void)session.explain(world.picture(0)); },
           [&] { (void)model.name(); },
           [&] { (void)model.family(); },
           [&] { (void)model.num_classes(); },
           [&] { (void)model.label(0); },
           [&] { (void)model.answer(); },
           [&] { (void)model.multi_label(); },
           [&] { (void)model.rejection_threshold(); },
           [&] { (void)model.depth(); },
           [&] { (void)model.num_heads(); },
           [&] { (void)model.embed_dim(); },
           [&] { (void)model.patch_size(); },
           [&] { (void)model.input_size(); },
           [&] { (void)model.num_parameters(); },
           [&] { (void)model.layers(); },
           [&] { (void)model.config_json(); },
           [&] { (void)model.preprocessing(); },
           [&] { (void)model.origins(); },
           [&] { (void)model.notes(); },
           [&] { Session again(model); },
           [&] { (void)explanation.answer(); },
           [&] { (void)explanation.layers(); },
           [&] { (void)explanation.heads(); },
           [&] { (void)explanation.tokens(); },
           [&] { (void)explanation.first_patch_token(); },
           [&] { (void)explanation.grid_height(); },
           [&] { (void)explanation.grid_width(); },
           [&] { (void)explanation.seen(); },
           [&] { (void)explanation.rollout(); },
           [&] { (void)explanation.attention(0, 0, 0); },
           [&] { (void)explanation.attention_maps(0); },
           [&] { (void)explanation.attention_matrix(0, 0); },
           [&] { (void)explanation.page(); },
           [&] { (void)explanation.overlay(); },
           [&] { explanation.write_page(world / "page.html"); },
           [&] { explanation.write_overlay(world / "overlay.png"); },
           [&] { (void)Explanation(nullptr).answer(); },
           [&] { (void)Session(loaded).classify(picture); },
           [&] { (void)Session(loaded).explain(picture); },
       })
    EXPECT_REFUSED(refused(), bad_input, "moved from");
  // NOLINTEND
  EXPECT_FALSE(std::filesystem::exists(world / "page.html"));
  EXPECT_EQ(explained.answer().top.size(), 5u);
}

TEST(ApiErrors, AModelThatCannotBeLoadedSaysWhy) {
  const SmallWorld world;
  EXPECT_REFUSED(Model("/there/is/no/such/model"), not_found, "no such file or folder");
  EXPECT_REFUSED(Model("no-such-name"), not_found, "nor a bundled model");
  EXPECT_REFUSED(Model(std::string("a\0b", 3)), not_found, "a\\x00b");
  EXPECT_REFUSED(Model(std::string(5000, 'x')), not_found, "no such file");
  EXPECT_REFUSED(Model("/dev/null"), bad_input, "is a device");
  std::filesystem::create_directories(world / "empty");
  EXPECT_REFUSED(Model((world / "empty").string()), bad_input, "holds neither");
  std::filesystem::create_directories(world / "fifo");
  ASSERT_EQ(::mkfifo((world / "fifo/model.safetensors").c_str(), 0600), 0);
  EXPECT_REFUSED(Model((world / "fifo").string()), bad_input, "is a pipe");
  EXPECT_REFUSED(Model(world.model(), {.settings = {{"no_such_field", "1"}}}), bad_input,
                 "no_such_field");
  EXPECT_REFUSED(Model(world.model(), {.settings = {{"depth", "many"}}}), bad_input, "many");
  EXPECT_REFUSED(Model(world.model(), {.settings = {{"depth", "999999999999"}}}), bad_input, "");
  EXPECT_REFUSED(Model(world.model(), {.size = PictureSize{0, 32}}), bad_input, "0x32");
  EXPECT_REFUSED(Model(world.model(), {.size = PictureSize{32, -1}}), bad_input, "32x-1");
  EXPECT_REFUSED(Model(world.model(), {.size = PictureSize{1 << 30, 32}}), bad_input, "size is");
  EXPECT_REFUSED(Model(world.model(), {.threads = -1}), bad_input, "threads is -1");
  EXPECT_REFUSED(Model(world.model(), {.labels = world / "none.txt"}), not_found, "no such file");
  EXPECT_REFUSED(Model(world.model(), {.label_names = {"one"}}), bad_input, "7 classes");
}

// Names of files are a stranger's words: a line stays a line.
TEST(ApiErrors, NamesInMessagesObeyNoTerminal) {
  const SmallWorld world;
  const std::string odd = (world / "odd\n\x1b[2Jname").string();
  for (const std::string& message :
       {testing::refusal_of([&] { Model model(odd); }).message,
        testing::refusal_of([&] { (void)Session(Model(world.model())).classify(odd); }).message,
        testing::refusal_of([&] { Model model(world.model(), {.labels = odd}); }).message}) {
    EXPECT_NE(message.find("odd\\n\\x1b[2Jname"), std::string::npos) << message;
    EXPECT_EQ(message.find('\x1b'), std::string::npos);
  }
}

// The kind of hole that a file has is found by damaging it everywhere.
TEST(ApiErrors, DamagedModelsAreErrorsWhateverTheDamage) {
  const SmallWorld world;
  const std::filesystem::path to = world / "damaged";
  for (const char* name : {"config.json", "model.safetensors"}) {
    const std::string whole = testing::text_of(world.model_folder() / name);
    const size_t interesting = std::min<size_t>(whole.size(), 3000);
    for (size_t cut = 0; cut < interesting; cut += 37) {
      for (const bool shortened : {true, false}) {
        std::filesystem::remove_all(to);
        std::filesystem::copy(world.model_folder(), to);
        std::string damaged = whole;
        if (shortened)
          damaged.resize(cut);
        else
          damaged[cut] = static_cast<char>(damaged[cut] ^ 0x15);
        std::ofstream(to / name, std::ios::binary) << damaged;
        try {
          Session session{Model(to.string())};
          (void)session.classify(world.picture(0));
        } catch (const Error& error) {
          testing::expect_well_said(error.what());
          EXPECT_NE(error.code(), ErrorCode::internal) << error.what();
        }
      }
    }
  }
}

TEST(ApiErrors, OptionsOutOfRangeAreNamed) {
  const SmallWorld world;
  const Model model(world.model());
  EXPECT_REFUSED(Session(model, {.threads = -1}), bad_input, "threads is -1");
  EXPECT_REFUSED(Session(model, {.threads = 100000}), bad_input, "threads is 100000");
  EXPECT_REFUSED(Session(model, {.batch = 0}), bad_input, "batch is 0");
  EXPECT_REFUSED(Session(model, {.precision = static_cast<Precision>(77)}), bad_input, "77");
  EXPECT_REFUSED(Session(model, {.threshold = 0}), bad_input, "threshold is 0");
  EXPECT_REFUSED(Session(model, {.threshold = std::nan("")}), bad_input, "threshold is nan");
  EXPECT_REFUSED(Session(model, {.orientation = static_cast<Orientation>(9)}), bad_input, "9");
  Session session(model);
  EXPECT_REFUSED(session.classify(world.picture(0), {.top = 0}), bad_input, "top is 0");
  EXPECT_REFUSED(session.features(world.picture(0), {.layer = 2}), bad_input, "no layer 2");
  EXPECT_REFUSED(session.features(world.picture(0), {.layer = -3}), bad_input, "no layer -3");
  EXPECT_REFUSED(session.features(world.picture(0), {.kind = static_cast<FeatureOptions::Kind>(5)}),
                 bad_input, "5");
  EXPECT_REFUSED(session.explain(world.picture(0), {.discard_ratio = 1}), bad_input, "discard");
  EXPECT_REFUSED(session.explain(world.picture(0), {.fusion = static_cast<HeadFusion>(3)}),
                 bad_input, "3");
  // Options concern all pictures, so that none is answered.
  const std::vector<Picture> pictures{world.picture(0), world.picture(1)};
  EXPECT_REFUSED(session.classify(pictures, {.top = -2}), bad_input, "top is -2");
  EXPECT_REFUSED(session.features(pictures, {.layer = 7}), bad_input, "no layer 7");
}

TEST(ApiErrors, WhatAModelLacksIsUnsupported) {
  auto config = vitrail::testing::small_config();
  config.num_classes = 0;
  const SmallWorld headless(config);
  Session session{Model(headless.model())};
  EXPECT_REFUSED(session.classify(headless.picture(0)), unsupported, "Session::features()");
  EXPECT_TRUE(session.explain(headless.picture(0)).answer().top.empty());
}

TEST(ApiErrors, PagesThatCannotBeWrittenSayWhy) {
  const SmallWorld world;
  const Explanation explanation = Session(Model(world.model())).explain(world.picture(0));
  EXPECT_REFUSED(explanation.write_page(world / "no/such/folder/page.html"), not_found,
                 "page.html");
  EXPECT_REFUSED(explanation.write_overlay(world.model_folder()), bad_input, "is a directory");
  EXPECT_REFUSED(explanation.attention(2, 0, 0), bad_input, "layers 0 to 1, not 2");
  EXPECT_REFUSED(explanation.attention(-1, 0, 0), bad_input, "not -1");
  EXPECT_REFUSED(explanation.attention(0, 3, 0), bad_input, "heads 0 to 2, not 3");
  EXPECT_REFUSED(explanation.attention(0, 0, 17), bad_input, "tokens 0 to 16, not 17");
  EXPECT_REFUSED(explanation.attention_maps(-1), bad_input, "tokens 0 to 16");
  EXPECT_REFUSED(explanation.attention_matrix(0, -1), bad_input, "heads 0 to 2");
}

TEST(ApiErrors, APassBeyondTheLimitsIsTooLarge) {
  const SmallWorld world;
  const Model model(world.model());
  Session session(model, {.memory = 1000});
  const testing::Refusal refusal =
      testing::refusal_of([&] { (void)session.classify(world.picture(0)); });
  EXPECT_EQ(refusal.code, ErrorCode::too_large);
  EXPECT_NE(refusal.message.find("SessionOptions::memory 1000000000"), std::string::npos)
      << refusal.message;
  // A quarter of a million tokens.
  const Model large(world.model(), {.size = PictureSize{4096, 4096}});
  EXPECT_REFUSED(Session(large, {.memory = std::uint64_t{1} << 40}).classify(world.picture(0)),
                 too_large, "SessionOptions::slow");
}

TEST(ApiErrors, TrainingRefusesWhatItCannotUse) {
  const SmallWorld world;
  EXPECT_REFUSED(train({.data = "nonsense:"}), bad_input, "nonsense");
  EXPECT_REFUSED(train({.data = "folder:/there/is/none", .output = world / "run"}), not_found,
                 "/there/is/none");
  const std::string data = "scenes:size=16,count=16,val=4";
  EXPECT_REFUSED(train({.data = data}), bad_input, "TrainOptions::output");
  EXPECT_REFUSED(train({.data = data, .output = world / "run", .settings = {{"no_field", "1"}}}),
                 bad_input, "no_field");
  EXPECT_REFUSED(train({.data = data, .output = world / "run", .threads = -2}), bad_input,
                 "threads is -2");
  EXPECT_REFUSED(train({.data = data, .output = world / "run", .workers = -2}), bad_input,
                 "workers is -2");
  EXPECT_REFUSED(train({.data = data, .output = world / "run", .max_broken = 2}), bad_input,
                 "max_broken is 2");
  EXPECT_REFUSED(train({.data = data, .output = world.picture(0)}), bad_input, "folder");
}

TEST(ApiErrors, WhatACallbackThrowsIsItsOwn) {
  const SmallWorld world;
  const Model model(world.model());
  Session session(model);
  const auto thrower = [](std::int64_t, std::int64_t) { throw std::runtime_error("enough\nsaid"); };
  const auto odd = [](std::int64_t, std::int64_t) { throw 7; };
  EXPECT_REFUSED(session.classify(world.picture(0), {.progress = thrower}), callback, "enough");
  EXPECT_REFUSED(session.features(world.picture(0), {.progress = odd}), callback, "no exception");
  EXPECT_REFUSED(session.explain(world.picture(0), {.progress = thrower}), callback, "enough");
  EXPECT_REFUSED(Model(world.model(), {.progress = thrower}), callback, "enough");
  EXPECT_REFUSED(train({.data = "scenes:size=16,count=32,val=4",
                        .output = world / "run",
                        .settings = {{"epochs", "1"}, {"depth", "1"}},
                        .threads = 1},
                       [](const TrainProgress&) { throw std::runtime_error("enough"); }),
                 callback, "enough");
  // The session is as good as before.
  EXPECT_EQ(session.classify(world.picture(0)).top.size(), 5u);
}

}  // namespace
}  // namespace vit
