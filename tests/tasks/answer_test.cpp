// What a head's numbers mean, against transformers' pipeline (golden/tasks/make_answers.py), and
// that it is kept and said wherever a model goes.
#include "models/answer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "formats/json.h"
#include "image/codec/codec.h"
#include "infer/small_models.h"
#include "models/families/convert.h"
#include "models/model_folder.h"
#include "tasks/classify.h"

namespace vitrail {
namespace {

namespace fs = std::filesystem;
using testing::model_of;
using testing::small_config;
using testing::TemporaryFolder;
using Settings = std::vector<std::pair<std::string, std::string>>;

const fs::path kAnswers = std::string(VITRAIL_SOURCE_DIR) + "/tests/golden/tasks/answers";

void place_model(const fs::path& folder, const std::string& weights, const Json& config) {
  fs::create_directories(folder);
  fs::copy_file(kAnswers / (weights + ".safetensors"), folder / "model.safetensors",
                fs::copy_options::overwrite_existing);
  fs::copy_file(kAnswers / "preprocessor_config.json", folder / "preprocessor_config.json",
                fs::copy_options::overwrite_existing);
  write_json(folder / "config.json", config);
}

Classification answer_of(const fs::path& folder, const Settings& settings = {},
                         const AnswerOptions& options = {.top = 9}) {
  Session session(load_model(folder.string(), {.settings = settings}), {.threads = 1});
  const Image picture =
      load_picture(kAnswers / "picture.png", session.preprocess().decode_options());
  return classify(session, session.prepare({&picture, 1}), options).front();
}

Json cases() {
  return read_json(kAnswers / "answers.json");
}

// The configuration of this problem; "": none is named.
Json config_of(const std::string& weights, const std::string& problem) {
  for (const Json& one : cases())
    if (one["weights"] == weights && one["config"].value("problem_type", "") == problem)
      return one["config"];
  ADD_FAILURE() << weights << " " << problem;
  return {};
}

template <typename F>
std::string error_of(F f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Answer, IsThatOfTransformersPipeline) {
  const TemporaryFolder folder;
  ASSERT_EQ(cases().size(), 7u);
  for (const Json& one : cases()) {
    place_model(folder.path(), one["weights"], one["config"]);
    const Classification answer = answer_of(folder.path());
    const auto scores = one["scores"].get<std::vector<double>>();
    const bool raw = one["config"].value("problem_type", "") == "regression";
    ASSERT_EQ(answer.top.size(), scores.size());
    for (const Prediction& prediction : answer.top) {
      const double wanted = scores[static_cast<size_t>(prediction.index)];
      EXPECT_NEAR(raw ? prediction.logit : prediction.probability, wanted, 1e-5) << one["config"];
      EXPECT_EQ(std::isnan(prediction.probability), raw);
    }
  }
}

TEST(Answer, OfSeveralClassesListsThoseThatReachTheThreshold) {
  const TemporaryFolder folder;
  place_model(folder.path(), "three", config_of("three", "multi_label_classification"));
  // 0.525, 0.795 and 0.475
  const Classification half = answer_of(folder.path());
  EXPECT_EQ(half.above, 2);
  EXPECT_EQ(half.top[0].index, 1);
  EXPECT_EQ(half.top[1].index, 0);
  EXPECT_EQ(half.top.size(), 3u);
  EXPECT_EQ(answer_of(folder.path(), {}, {.threshold = 0.9}).above, 0);
  EXPECT_EQ(answer_of(folder.path(), {}, {.threshold = 0.1}).above, 3);
  const Classification one = answer_of(folder.path(), {}, {.top = 1, .threshold = 0.1});
  EXPECT_EQ(one.above, 3);
  EXPECT_EQ(one.top.size(), 1u);
  for (const double wrong : {0.0, 1.0, -1.0, std::nan("")})
    EXPECT_THROW(answer_of(folder.path(), {}, {.threshold = wrong}), Error);
  // Nobody sees a class too few: all that count are named, however many there are.
  VitConfig many = small_config();
  many.answer = Answer::sigmoid;
  many.multi_label = true;
  const std::vector<float> logits(7, 1.0f);
  EXPECT_EQ(judge(*model_of(many), logits, {}).top.size(), 7u);
  EXPECT_EQ(judge(*model_of(many), std::vector<float>(7, -1.0f), {}).top.size(), 5u);
}

TEST(Answer, IsWhatSetSays) {
  const TemporaryFolder folder;
  place_model(folder.path(), "three", config_of("three", ""));
  EXPECT_NEAR(answer_of(folder.path(), {{"answer", "sigmoid"}}).top[0].probability, 0.79493, 1e-5);
  EXPECT_EQ(answer_of(folder.path(), {{"answer", "sigmoid"}}).above, 0);
  EXPECT_EQ(answer_of(folder.path(), {{"multi_label", "true"}}).above, 2);
  EXPECT_NEAR(answer_of(folder.path(), {{"answer", "raw"}}).top[0].logit, 1.35488, 1e-5);
  place_model(folder.path(), "three", config_of("three", "multi_label_classification"));
  EXPECT_NEAR(answer_of(folder.path(), {{"answer", "softmax"}}).top[0].probability, 0.65844, 1e-5);
  EXPECT_EQ(answer_of(folder.path(), {{"multi_label", "false"}}).above, 0);
  EXPECT_NE(error_of([&] {
              answer_of(folder.path(), {{"answer", "softmax"}, {"multi_label", "true"}});
            }).find("multi_label goes with answer sigmoid"),
            std::string::npos);
}

TEST(Answer, OfAnUnknownProblemIsRefused) {
  const TemporaryFolder folder;
  Json config = config_of("three", "");
  config["problem_type"] = "ranking";
  place_model(folder.path(), "three", config);
  EXPECT_NE(error_of([&] { answer_of(folder.path()); }).find("problem_type is 'ranking'"),
            std::string::npos);
  config["problem_type"] = nullptr;
  place_model(folder.path(), "three", config);
  EXPECT_NEAR(answer_of(folder.path()).top[0].probability, 0.65844, 1e-5);
  config.erase("id2label");
  config["num_labels"] = 3;
  place_model(folder.path(), "three", config);
  EXPECT_NEAR(answer_of(folder.path()).top[0].probability, 0.65844, 1e-5);
  config["num_labels"] = 1;
  place_model(folder.path(), "three", config);
  EXPECT_NE(error_of([&] { answer_of(folder.path()); }).find("num_labels is 1"), std::string::npos);
}

// Every meaning through every form, and back.
TEST(Answer, IsKeptByConvert) {
  const TemporaryFolder folder;
  const fs::path from = folder.path() / "from", to = folder.path() / "to",
                 back = folder.path() / "back";
  struct Case {
    const char* weights;
    Settings settings;
    const char* problem;  // that transformers' form names; "": none
  };
  for (const Case& one : std::vector<Case>{{"three", {{"answer", "softmax"}}, ""},
                                           {"three", {{"answer", "sigmoid"}}, ""},
                                           {"three",
                                            {{"answer", "sigmoid"}, {"multi_label", "true"}},
                                            "multi_label_classification"},
                                           {"three", {{"answer", "raw"}}, "regression"},
                                           {"one", {{"answer", "sigmoid"}}, ""},
                                           {"one", {{"answer", "raw"}}, "regression"}}) {
    place_model(from, one.weights, config_of(one.weights, ""));
    const Checkpoint source = open_checkpoint(from, {.settings = one.settings});
    const VitConfig& wanted = as_vit(source.info.config);
    for (const Family* target :
         {family_from_name("timm"), family_from_name("hf_vit"), own_family()}) {
      const ConversionReport report = write_converted(to, source, {.target = target});
      const Checkpoint written = open_checkpoint(to, {.require_preprocess = false});
      EXPECT_EQ(as_vit(written.info.config).answer, wanted.answer) << name_of(target);
      EXPECT_EQ(as_vit(written.info.config).multi_label, wanted.multi_label) << name_of(target);
      // And from there on.
      write_converted(back, written, {.target = family_from_name("hf_vit")});
      const Checkpoint returned = open_checkpoint(back, {.require_preprocess = false});
      EXPECT_EQ(as_vit(returned.info.config).answer, wanted.answer) << name_of(target);
      EXPECT_EQ(as_vit(returned.info.config).multi_label, wanted.multi_label) << name_of(target);
      // transformers reads problem_type; what it does not read is said.
      if (target == family_from_name("hf_vit")) {
        EXPECT_EQ(read_json(to / "config.json").value("problem_type", ""), one.problem);
      }
      const bool read_there = target == own_family() || wanted.answer == Answer::softmax ||
                              (target == family_from_name("hf_vit") &&
                               (*one.problem != '\0' || wanted.num_classes == 1));
      const bool said = std::ranges::any_of(report.folds, [](const std::string& fold) {
        return fold.find("logits") != std::string::npos;
      });
      EXPECT_EQ(said, !read_there) << name_of(target) << " " << wanted.num_classes;
    }
  }
  place_model(from, "one", config_of("one", ""));
  const Checkpoint softmax = open_checkpoint(from, {.settings = {{"answer", "softmax"}}});
  EXPECT_THROW(write_converted(to, softmax, {.target = family_from_name("hf_vit")}), Error);
}

// The softmax of one number is always 1: nobody can have meant it.
TEST(Answer, OfASingleNumberIsAskedFor) {
  const TemporaryFolder folder;
  const fs::path from = folder.path() / "from", to = folder.path() / "to";
  place_model(from, "one", config_of("one", ""));
  write_converted(to, open_checkpoint(from), {.target = family_from_name("timm")});
  Json config = read_json(to / "config.json");
  EXPECT_EQ(config["vitrail_answer"], "sigmoid");
  config.erase("vitrail_answer");
  write_json(to / "config.json", config);
  const CheckpointOptions bare{.require_preprocess = false};
  EXPECT_NE(
      error_of([&] { open_checkpoint(to, bare); }).find("ModelOptions::settings {{\"answer\""),
      std::string::npos);
  EXPECT_EQ(
      as_vit(open_checkpoint(to, {.settings = {{"answer", "raw"}}, .require_preprocess = false})
                 .info.config)
          .answer,
      Answer::raw);
  config["problem_type"] = "regression";  // somebody wrote it
  write_json(to / "config.json", config);
  EXPECT_EQ(as_vit(open_checkpoint(to, bare).info.config).answer, Answer::raw);
}

TEST(Answer, OfOurOwnFolderIsSoftmaxUnlessItSays) {
  const TemporaryFolder folder;
  const auto model = model_of(small_config());
  write_model_folder(folder.path(),
                     {.network = *model->network, .preprocess = to_json(model->preprocess)});
  Json config = read_json(folder.path() / "config.json");
  EXPECT_EQ(config["model"]["answer"], "softmax");
  for (const char* field : {"answer", "multi_label"}) config["model"].erase(field);
  write_json(folder.path() / "config.json", config);  // as those of earlier versions
  EXPECT_EQ(as_vit(open_checkpoint(folder.path()).info.config).answer, Answer::softmax);
  config["model"]["answer"] = "sigmoid";
  write_json(folder.path() / "config.json", config);
  EXPECT_EQ(as_vit(open_checkpoint(folder.path()).info.config).answer, Answer::sigmoid);
  config["model"]["multi_label"] = true;
  config["rejection"] = {{"threshold", 0.5}, {"accepted", 0.95}};
  write_json(folder.path() / "config.json", config);
  EXPECT_NE(error_of([&] { open_checkpoint(folder.path()); }).find("one class a picture"),
            std::string::npos);
  EXPECT_NE(error_of([&] {
              VitConfig bare = small_config();
              bare.num_classes = 0;
              const auto headless = model_of(bare);
              write_model_folder(folder.path(), {.network = *headless->network,
                                                 .preprocess = to_json(headless->preprocess)});
              open_checkpoint(folder.path(), {.settings = {{"answer", "sigmoid"}}});
            }).find("no head"),
            std::string::npos);
}

TEST(Answer, SigmoidKeepsItsTails) {
  for (const double x : {-700.0, -30.0, -1.0, 0.0, 2.0, 30.0}) {
    EXPECT_NEAR(sigmoid(x), 1 / (1 + std::exp(-x)), 1e-15);
    EXPECT_EQ(sigmoid(x) == 0, false);
  }
  EXPECT_TRUE(reaches(0, 0.5));
  EXPECT_FALSE(reaches(-1e-3f, 0.5));
}

}  // namespace
}  // namespace vitrail
