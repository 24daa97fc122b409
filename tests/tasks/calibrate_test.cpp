#include "tasks/calibrate.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "data/dataset.h"
#include "formats/safetensors.h"
#include "infer/small_models.h"
#include "models/model_folder.h"
#include "support/errors.h"
#include "tasks/classify.h"
#include "tasks/evaluate.h"

namespace vitrail {
namespace {

using testing::model_of;
using testing::small_config;
using testing::TemporaryFolder;

std::vector<Certainty> with(const std::vector<double>& probabilities) {
  std::vector<Certainty> all;
  for (const double p : probabilities) all.push_back({.value = p, .correct = p > 0.5});
  return all;
}

TEST(Calibrate, TakesTheLargestThresholdThatEnoughPicturesReach) {
  const auto pictures = with({0.9, 0.1, 0.8, 0.3, 0.7, 0.6, 0.5, 0.4, 0.95, 0.2});
  EXPECT_EQ(calibrate(pictures, 0.8), (Rejection{.threshold = 0.3, .accepted = 0.8}));
  EXPECT_EQ(calibrate(pictures, 0.75), (Rejection{.threshold = 0.3, .accepted = 0.8}));
  EXPECT_EQ(calibrate(pictures, 1), (Rejection{.threshold = 0.1, .accepted = 1}));
  EXPECT_EQ(calibrate(pictures, 0.01), (Rejection{.threshold = 0.95, .accepted = 0.1}));
  // Equal ones stand or fall together.
  EXPECT_EQ(calibrate(with({0.5, 0.5, 0.5, 0.9}), 0.5),
            (Rejection{.threshold = 0.5, .accepted = 1}));
}

TEST(Calibrate, RefusesNothingToLearnFromAndSharesOutOfRange) {
  EXPECT_THROW(calibrate({}, 0.9), Error);
  EXPECT_THROW(calibrate(with({0.5}), 0), Error);
  EXPECT_THROW(calibrate(with({0.5}), 1.01), Error);
}

TEST(Calibrate, CountsWhatIsAcceptedAndRight) {
  const Acceptance a = acceptance(with({0.9, 0.6, 0.45, 0.1}), {.threshold = 0.45});
  EXPECT_EQ(a.pictures, 4);
  EXPECT_EQ(a.accepted, 3);
  EXPECT_EQ(a.correct, 2);
}

// Ten classes, named as the scenes are, and random weights.
std::shared_ptr<Model> classifier() {
  VitConfig config = small_config();
  config.num_classes = 10;
  auto model = model_of(config);
  const auto scenes = open_dataset("scenes:count=20,size=32", Split::train, {});
  for (size_t i = 0; i < 10; ++i) model->labels.names[i] = scenes->classes()[i];
  return model;
}

// What calibrate() measures is what classify, evaluate and explain_picture go by.
void expect_agreement(const std::shared_ptr<Model>& model, const Dataset& set,
                      const SharedGaussians& gaussians) {
  Session session(model, {.threads = 2, .batch = 8});
  const std::vector<Certainty> all = certainties(session, set, gaussians);
  ASSERT_EQ(static_cast<int64_t>(all.size()), set.size());
  int64_t correct = 0;
  for (const Certainty& picture : all) correct += picture.correct ? 1 : 0;
  EXPECT_EQ(correct, evaluate(session, set).top1);
  EXPECT_EQ(evaluate(session, set).none, 0);

  model->rejection = calibrate(all, 0.5, gaussians);
  const EvaluationResult judged = evaluate(session, set);
  const Acceptance accepted = acceptance(all, *model->rejection);
  EXPECT_LT(accepted.accepted, set.size());
  EXPECT_EQ(judged.count - judged.none, accepted.accepted);
  EXPECT_EQ(judged.top1 - judged.none_top1, accepted.correct);
  for (int64_t i = 0; i < set.size(); ++i) {
    const std::vector<Image> pictures{set.get(i).image};
    const Classification answer = classify(session, session.prepare(pictures), {.top = 3}).front();
    EXPECT_EQ(answer.certainty, all[static_cast<size_t>(i)].value);
    EXPECT_EQ(answer.none, *answer.certainty < model->rejection->threshold);
    if (!gaussians) {
      EXPECT_EQ(answer.certainty, answer.top.front().probability);
    }
  }
}

TEST(Calibrate, MeasuresWhatClassifyAnswersAndEvaluationCounts) {
  const auto set = open_dataset("scenes:count=20,size=32", Split::train, {});
  expect_agreement(classifier(), *set, nullptr);
}

TEST(Calibrate, MeasuresTypicalityAsWell) {
  const auto model = classifier();
  const auto set = open_dataset("scenes:count=60,size=32", Split::train, {});
  Session session(model, {.threads = 2, .batch = 8});
  expect_agreement(model, *set, learn_gaussians(session, *set, 60));
}

TEST(Calibrate, NamesTheClassThatATrainingSetLacks) {
  const auto model = classifier();
  const auto set = open_dataset("scenes:count=60,size=32", Split::train, {});
  Session session(model, {.threads = 2, .batch = 8});
  EXPECT_ERROR(learn_gaussians(session, *set, 5), "shows nothing of class");
}

TEST(Rejection, IsPartOfAModelFolder) {
  const auto model = classifier();
  const TemporaryFolder folder;
  write_model_folder(folder.path(), {.network = *model->network,
                                     .preprocess = to_json(model->preprocess),
                                     .labels = {},
                                     .rejection = Rejection{.threshold = 0.25, .accepted = 0.95}});
  EXPECT_EQ(load_model(folder.path())->rejection, (Rejection{.threshold = 0.25, .accepted = 0.95}));
}

TEST(Rejection, GaussiansMoveWithTheModelFolder) {
  const auto model = classifier();
  const auto set = open_dataset("scenes:count=60,size=32", Split::train, {});
  Session session(model, {.threads = 2, .batch = 8, .pack = false});  // it is saved afterwards
  const SharedGaussians gaussians = learn_gaussians(session, *set, 60);
  const TemporaryFolder folder;
  const auto write = [&](std::optional<Rejection> rejection) {
    write_model_folder(folder.path(), {.network = *model->network,
                                       .preprocess = to_json(model->preprocess),
                                       .labels = {},
                                       .rejection = std::move(rejection)});
  };
  write(Rejection{.threshold = 0.25, .accepted = 0.95, .gaussians = gaussians});
  const auto loaded = load_model(folder.path());
  ASSERT_TRUE(loaded->rejection && loaded->rejection->gaussians);
  const std::vector<float> features(24, 0.5f);
  EXPECT_EQ(loaded->rejection->certainty(1, features), gaussians->typicality(features));

  std::filesystem::remove(folder / kRejectionFile);
  EXPECT_ERROR(load_model(folder.path()), kRejectionFile);
  write_safetensors(folder / kRejectionFile,
                    {{"means", Tensor::zeros({10, 8})}, {"whitening", Tensor::zeros({8, 8})}});
  EXPECT_ERROR(load_model(folder.path()), "10 classes and 8 features");
  write(Rejection{.threshold = 0.25, .accepted = 0.95});  // takes the file away
  EXPECT_FALSE(std::filesystem::exists(folder / kRejectionFile));
}

TEST(Rejection, RefusesOtherForms) {
  using nlohmann::json;
  for (const json& bad :
       {json(0.5), json{{"threshold", 0.5}}, json{{"accepted", 0.5}},
        json{{"threshold", "0.5"}, {"accepted", 0.9}}, json{{"threshold", 1.5}, {"accepted", 0.9}},
        json{{"threshold", -0.1}, {"accepted", 0.9}},
        json{{"threshold", 0.5}, {"accepted", 0.9}, {"certainty", "mood"}},
        json{{"threshold", 0.5}, {"accepted", 0.9}, {"certainty", "typicality"}}})
    EXPECT_THROW(rejection_from_json(bad, "config.json"), Error) << bad;
}

TEST(Rejection, CountsInWords) {
  EXPECT_EQ(none_of(10), "none of my ten classes");
  EXPECT_EQ(none_of(12), "none of my twelve classes");
  EXPECT_EQ(none_of(13), "none of my 13 classes");
}

}  // namespace
}  // namespace vitrail
