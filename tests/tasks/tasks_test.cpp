#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>

#include "core/error.h"
#include "infer/small_models.h"
#include "tasks/classify.h"
#include "tasks/embed.h"
#include "tasks/evaluate.h"
#include "tasks/match_classes.h"

namespace vitrail {
namespace {

using testing::model_of;
using testing::scenes;
using testing::small_config;
using testing::TemporaryFolder;

ClassLabels labels(const std::vector<std::string>& names, std::vector<std::string> wnids = {}) {
  ClassLabels result;
  for (const std::string& name : names)
    result.names.push_back(name.empty() ? std::nullopt : std::optional(name));
  result.wnids = std::move(wnids);
  return result;
}

TEST(TopPredictions, AreRankedSoftmaxOverAllClasses) {
  const std::vector<float> logits = {1, 3, 2, 3};
  const auto top = top_predictions(logits, labels({"a", "", "c", "d"}), 3, Answer::softmax);
  ASSERT_EQ(top.size(), 3u);
  EXPECT_EQ(top[0].index, 1);
  EXPECT_EQ(top[0].label, std::nullopt);
  EXPECT_EQ(top[1].index, 3);  // of equal logits the lower index is first
  EXPECT_EQ(top[1].label, "d");
  EXPECT_EQ(top[2].index, 2);
  const double sum = std::exp(1.0) + 2 * std::exp(3.0) + std::exp(2.0);
  EXPECT_NEAR(top[0].probability, std::exp(3.0) / sum, 1e-12);
  EXPECT_EQ(top[2].logit, 2.0f);
  EXPECT_EQ(top_predictions(logits, labels({}), 9, Answer::softmax).size(), 4u);
  const std::vector<float> far = {-1e30f, 3e38f};  // no overflow
  EXPECT_EQ(top_predictions(far, labels({}), 1, Answer::softmax)[0].probability, 1.0);
}

TEST(TopPredictions, OfSigmoidsAndValuesAreRankedAlike) {
  const std::vector<float> logits = {1, 3, -2};
  const auto each = top_predictions(logits, labels({}), 3, Answer::sigmoid);
  EXPECT_EQ(each[0].index, 1);
  EXPECT_NEAR(each[0].probability, 1 / (1 + std::exp(-3.0)), 1e-12);
  EXPECT_NEAR(each[2].probability, 1 / (1 + std::exp(2.0)), 1e-12);
  const auto values = top_predictions(logits, labels({}), 3, Answer::raw);
  EXPECT_EQ(values[0].logit, 3.0f);
  EXPECT_TRUE(std::isnan(values[0].probability));
}

TEST(TopPredictions, RefuseLogitsThatAreNotFinite) {
  const std::vector<float> nan = {1, std::numeric_limits<float>::quiet_NaN()};
  const std::vector<float> infinite = {1, std::numeric_limits<float>::infinity()};
  EXPECT_THROW(top_predictions(nan, {}, 1, Answer::softmax), Error);
  EXPECT_THROW(top_predictions(infinite, {}, 1, Answer::softmax), Error);
}

TEST(MatchClasses, GoesByNameAndIdentifierInEveryForm) {
  const ClassLabels model = labels({"tench, Tinca tinca", "great white shark", "hen", "crane bird"},
                                   {"n01440764", "n01484850", "", ""});
  EXPECT_EQ(match_classes({"hen", "n01440764"}, model), (std::vector<int64_t>{2, 0}));
  EXPECT_EQ(match_classes({"n01484850_white_shark"}, model), (std::vector<int64_t>{1}));
  EXPECT_EQ(match_classes({"Great_White-Shark", "TENCH"}, model), (std::vector<int64_t>{1, 0}));
  EXPECT_EQ(match_classes({"tench, Tinca tinca"}, model), (std::vector<int64_t>{0}));
  EXPECT_EQ(match_classes({"tench, another synonym"}, model), (std::vector<int64_t>{0}));
  // Identifiers inside the labels themselves.
  EXPECT_EQ(match_classes({"n01443537", "goldfish"}, labels({"x", "n01443537_goldfish"})),
            (std::vector<int64_t>{1, 1}));
}

TEST(ClassTitles, AreWordsWhereTheSetHasIdentifiers) {
  const ClassLabels model = labels({"tench", "crane", "crane", "", "n01443537 goldfish"},
                                   {"n01440764", "n02012849", "n03126707", "n01491361", ""});
  EXPECT_EQ(class_titles({"n01440764", "n02012849", "n01491361", "n01443537", "n01630670"}, model),
            (std::vector<std::string>{"tench", "crane (n02012849)", "n01491361",
                                      "n01443537 goldfish", "n01630670"}));
  // Names that somebody chose stay.
  EXPECT_EQ(class_titles({"n01440764_tench", "Tench", ""}, model),
            (std::vector<std::string>{"n01440764_tench", "Tench", ""}));
  EXPECT_EQ(class_titles({"n01440764"}, labels({})), (std::vector<std::string>{"n01440764"}));
  EXPECT_EQ(label_title(model, 2), "crane (n03126707)");
  EXPECT_EQ(label_title(model, 3), std::nullopt);
  EXPECT_EQ(label_title(labels({"crane", "crane"}), 0), "crane");  // nothing tells them apart
}

TEST(MatchClasses, RefusesWhatDoesNotMatchOrIsAmbiguous) {
  const ClassLabels model = labels({"crane", "crane", "hen", ""});
  const auto message = [&](const std::vector<std::string>& classes) -> std::string {
    try {
      match_classes(classes, model);
    } catch (const Error& error) {
      return error.what();
    }
    return "matched";
  };
  EXPECT_NE(message({"hen", "dog"})
                .find("1 of the set's 2 classes match no label of the model "
                      "(dog)"),
            std::string::npos);
  EXPECT_NE(message({"crane"}), "matched");
  EXPECT_NE(message({""}), "matched");
  EXPECT_NE(message({"0", "1"}), "matched");  // never by position
  EXPECT_EQ(message({"hen"}), "matched");
}

TEST(Embed, GivesTheNetworksTokens) {
  VitConfig config = small_config();
  config.tokens.register_tokens = 2;
  config.image_width = 48;
  Session session(model_of(config), {.threads = 2});
  const Tensor images = session.prepare(scenes(2)).images;
  const NetworkOutput output = session.run(images);
  const Tensor& tokens = output.tokens().value();  // [2, 3 + 4*6, 24]
  ASSERT_EQ(tokens.shape(), (Shape{2, 27, 24}));

  const Tensor token = embed(session, images, {.kind = EmbeddingKind::class_token});
  ASSERT_EQ(token.shape(), (Shape{2, 24}));
  const Tensor patches = embed(session, images, {.kind = EmbeddingKind::patches});
  ASSERT_EQ(patches.shape(), (Shape{2, 4, 6, 24}));
  const Tensor mean = embed(session, images, {.kind = EmbeddingKind::mean});
  ASSERT_EQ(mean.shape(), (Shape{2, 24}));
  for (int64_t b = 0; b < 2; ++b) {
    EXPECT_EQ(std::memcmp(token.f32() + b * 24, tokens.f32() + b * 27 * 24, 24 * 4), 0);
    EXPECT_EQ(
        std::memcmp(patches.f32() + b * 24 * 24, tokens.f32() + (b * 27 + 3) * 24, 24 * 24 * 4), 0);
    double sum = 0;
    for (int64_t t = 3; t < 27; ++t) sum += tokens.f32()[(b * 27 + t) * 24 + 5];
    EXPECT_NEAR(mean.f32()[b * 24 + 5], sum / 24, 1e-6);
  }
}

TEST(Embed, ReadsAnyLayer) {
  Session session(model_of(small_config()), {.threads = 1});
  const Tensor images = session.prepare(scenes(1)).images;
  Tensor first;
  session.run(images, {.observer = [&](const std::string& path, const Tensor& value) {
                if (path == "blocks.0") first = value.clone();
              }});
  const auto layer = [&](int64_t index) {
    return embed(session, images, {.kind = EmbeddingKind::class_token, .layer = index});
  };
  EXPECT_EQ(std::memcmp(layer(0).raw(), first.raw(), 24 * 4), 0);
  EXPECT_EQ(std::memcmp(layer(-2).raw(), first.raw(), 24 * 4), 0);
  EXPECT_NE(std::memcmp(layer(1).raw(), first.raw(), 24 * 4), 0);
  EXPECT_THROW(layer(2), Error);
  EXPECT_THROW(layer(-3), Error);
}

TEST(Embed, RefusesAClassTokenThatIsNotThere) {
  VitConfig config = small_config();
  config.tokens.class_token = false;
  config.position.prefix = 0;
  config.head.pooling = Pooling::mean;
  Session session(model_of(config), {.threads = 1});
  const Tensor images = session.prepare(scenes(1)).images;
  EXPECT_EQ(default_embedding(*session.model().network), EmbeddingKind::mean);
  EXPECT_THROW(embed(session, images, {.kind = EmbeddingKind::class_token}), Error);
}

// A folder a class; the model's labels stand in another order.
class EvaluateFolder : public ::testing::Test {
 protected:
  EvaluateFolder() : folder_("evaluate"), model_(model_of(small_config())) {
    model_->labels = labels({"g", "f", "e", "d", "c", "b", "a"});
    const std::vector<Image> pictures = scenes(8);
    for (size_t i = 0; i < pictures.size(); ++i) {
      const std::string name = i % 2 == 0 ? "a" : "c";
      std::filesystem::create_directories(folder_ / name);
      write_png(folder_ / (name + "/" + std::to_string(i) + ".png"), pictures[i]);
    }
  }
  std::string spec() const { return "folder:" + folder_.path().string(); }

  TemporaryFolder folder_;
  std::shared_ptr<Model> model_;
};

TEST_F(EvaluateFolder, CountsWhatTheModelSays) {
  const auto dataset = open_dataset(spec(), Split::all);
  Session session(model_, {.threads = 1, .batch = 3});
  const EvaluationResult result = evaluate(session, *dataset);
  int64_t top1 = 0, top5 = 0;
  for (int64_t i = 0; i < dataset->size(); ++i) {
    const Sample sample = dataset->get(i);
    const auto answer = classify(session, session.prepare({&sample.image, 1}), {.top = 5})[0];
    const std::string truth = dataset->classes()[static_cast<size_t>(sample.label)];
    for (size_t k = 0; k < answer.top.size(); ++k)
      if (answer.top[k].label == truth) {
        top1 += k == 0 ? 1 : 0;
        ++top5;
      }
  }
  EXPECT_EQ(result.count, 8);
  EXPECT_EQ(result.top1, top1);
  EXPECT_EQ(result.top5, top5);
  EXPECT_EQ(result.classes[0].name, "a");
  EXPECT_EQ(result.classes[0].count, 4);
  EXPECT_EQ(result.classes[0].top1 + result.classes[1].top1, top1);
  EXPECT_DOUBLE_EQ(result.top1_fraction(), static_cast<double>(top1) / 8);

  std::vector<int64_t> steps;
  const EvaluationResult part =
      evaluate(session, *dataset,
               {.limit = 5, .progress = [&](int64_t done, int64_t) { steps.push_back(done); }});
  EXPECT_EQ(part.count, 5);
  EXPECT_EQ(steps, (std::vector<int64_t>{3, 5}));
}

TEST_F(EvaluateFolder, LeavesOutSoManyBrokenPictures) {
  const auto dataset = open_dataset(spec(), Split::all);
  const auto path = [&](int64_t i) { return folder_ / dataset->id(i); };
  Session session(model_, {.threads = 1, .batch = 3});
  const EvaluationResult before = evaluate(session, *dataset);
  EXPECT_TRUE(before.broken.empty());
  for (const int64_t i : {1, 6}) std::ofstream(path(i), std::ios::trunc) << "no picture";
  try {
    evaluate(session, *dataset, {.max_broken = 0.2});
    ADD_FAILURE() << "two of eight are more than a fifth";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("2 broken of 8 pictures, and the limit is 1 (20%)"),
              std::string::npos)
        << error.what();
  }
  EXPECT_THROW(evaluate(session, *dataset), Error);
  std::vector<int64_t> named;
  const EvaluationResult result =
      evaluate(session, *dataset, {.max_broken = 0.25, .on_broken = [&](const BrokenPicture& one) {
                                     named.push_back(one.index);
                                   }});
  EXPECT_EQ(named, (std::vector<int64_t>{1, 6}));
  EXPECT_EQ(result.broken.size(), 2u);
  EXPECT_EQ(result.count, 6);
  for (int64_t i = 0; i < dataset->size(); ++i) std::ofstream(path(i), std::ios::trunc) << "no";
  EXPECT_THROW(evaluate(session, *dataset, {.max_broken = 1}), Error);
}

TEST_F(EvaluateFolder, KeepsTheWorstMistakes) {
  Session session(model_, {.threads = 2, .batch = 3});
  const auto dataset = open_dataset(spec(), Split::all);
  const EvaluationResult all = evaluate(session, *dataset, {.mistakes = 100});
  ASSERT_EQ(static_cast<int64_t>(all.mistakes.size()), all.count - all.top1);
  ASSERT_GE(all.mistakes.size(), 3u);
  double loss = 0;
  for (int64_t i = 0; i < dataset->size(); ++i) {
    const Sample sample = dataset->get(i);
    const auto answer = classify(session, session.prepare({&sample.image, 1}), {.top = 7})[0];
    const std::string truth = dataset->classes()[static_cast<size_t>(sample.label)];
    double label_probability = 0;
    for (const Prediction& prediction : answer.top)
      if (prediction.label == truth) label_probability = prediction.probability;
    loss -= std::log(label_probability) / 8;
    const auto mistake = std::find_if(all.mistakes.begin(), all.mistakes.end(),
                                      [&](const Mistake& m) { return m.index == i; });
    ASSERT_EQ(mistake == all.mistakes.end(), answer.top[0].label == truth);
    if (mistake == all.mistakes.end()) continue;
    EXPECT_EQ(mistake->label, sample.label);
    EXPECT_EQ(mistake->answer, answer.top[0].index);
    EXPECT_NEAR(mistake->answer_probability, answer.top[0].probability, 1e-9);
    EXPECT_NEAR(mistake->label_probability, label_probability, 1e-9);
  }
  EXPECT_NEAR(all.loss, loss, 1e-6);
  EXPECT_TRUE(std::is_sorted(all.mistakes.begin(), all.mistakes.end(),
                             [](const Mistake& a, const Mistake& b) {
                               return a.label_probability < b.label_probability;
                             }));
  int64_t counted = 0;
  for (const Confusion::Cell& cell : all.confusion.cells()) counted += cell.count;
  EXPECT_EQ(counted, 8);
  EXPECT_EQ(all.confusion.count(0, 0) + all.confusion.count(1, 1), all.top1);

  const EvaluationResult two = evaluate(session, *dataset, {.mistakes = 2});
  ASSERT_EQ(two.mistakes.size(), 2u);
  EXPECT_EQ(two.mistakes[0].index, all.mistakes[0].index);
  EXPECT_EQ(two.mistakes[1].index, all.mistakes[1].index);
  EXPECT_TRUE(evaluate(session, *dataset).mistakes.empty());
}

TEST_F(EvaluateFolder, RefusesClassesByPosition) {
  const auto dataset = open_dataset(spec(), Split::all);
  model_->labels = unknown_labels(7);
  Session session(model_, {.threads = 1});
  EXPECT_THROW(evaluate(session, *dataset), Error);
  EXPECT_THROW(evaluate(session, *dataset, {.classes_by_number = true}), Error);  // 2 is not 7
}

TEST(Classify, KeepsErrorsBesideAnswers) {
  const TemporaryFolder folder("classify");
  write_png(folder / "a.png", scenes(1)[0]);
  Session session(model_of(small_config()), {.threads = 1});
  const std::vector<std::string> paths = {folder / "none.png", folder / "a.png"};
  const auto answers = classify(session, session.prepare_files(paths), {.top = 2});
  EXPECT_FALSE(answers[0].error.empty());
  EXPECT_TRUE(answers[0].top.empty());
  EXPECT_TRUE(answers[1].error.empty());
  EXPECT_EQ(answers[1].top.size(), 2u);
}

TEST(Classify, RefusesAModelWithoutAHead) {
  VitConfig config = small_config();
  config.num_classes = 0;
  Session session(model_of(config), {.threads = 1});
  const Image picture = scenes(1)[0];
  EXPECT_THROW(classify(session, session.prepare({&picture, 1}), {.top = 1}), Error);
  EXPECT_THROW(session.logits({&picture, 1}), Error);
}

}  // namespace
}  // namespace vitrail
