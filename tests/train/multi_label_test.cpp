// Learning several classes a picture: PyTorch's loss, scikit-learn's logistic regressions
// (golden/train/make_multi_label_golden.py), and runs on pictures of rectangles.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "data/subset.h"
#include "formats/json.h"
#include "infer/model.h"
#include "tasks/evaluate.h"
#include "train/judge/linear_probe.h"
#include "train/methods/loss.h"
#include "train/run_helpers.h"

namespace vitrail {
namespace {

using testing::fresh_folder;
using testing::quiet_options;
using testing::tiny_config;

Json multi_label_golden() {
  return read_json(std::string(VITRAIL_SOURCE_DIR) + "/tests/golden/train/multi_label.json");
}

Tensor floats(const Json& rows) {
  std::vector<float> values;
  for (const Json& row : rows)
    for (const Json& value : row) values.push_back(value.get<float>());
  const auto count = static_cast<int64_t>(rows.size());
  return Tensor::from(values, {count, static_cast<int64_t>(values.size()) / count});
}

Tensor labels_in(const Json& rows) {
  const Tensor values = floats(rows);
  Tensor labels = Tensor::empty(values.shape(), DType::i64);
  for (int64_t i = 0; i < values.numel(); ++i)
    labels.data<int64_t>()[i] = static_cast<int64_t>(values.f32()[i]);
  return labels;
}

TEST(MultiLabelLoss, AndItsGradientAreThoseOfPyTorch) {
  const Json wanted = multi_label_golden();
  Queue queue(1);
  Tape tape;
  Context context(queue);
  context.tape = &tape;
  Parameter logits("logits", floats(wanted["logits"]).shape());
  logits.set_value(floats(wanted["logits"]));
  Batch batch;
  batch.labels = labels_in(wanted["labels"]);
  const Variable loss = classification_loss(context, logits.variable(), batch, {.binary = true});
  EXPECT_NEAR(loss.value().f32()[0], wanted["loss"], 1e-6);
  tape.backward(queue, loss);
  const Tensor gradient = floats(wanted["gradient"]);
  for (int64_t i = 0; i < gradient.numel(); ++i)
    EXPECT_NEAR(logits.gradient().f32()[i], gradient.f32()[i], 1e-8);
  EXPECT_THROW(classification_loss(context, logits.variable(), batch, {}), Error);
}

TEST(MultiLabelProbe, IsALogisticRegressionOfEachClass) {
  const Json wanted = multi_label_golden();
  const Features train{.values = floats(wanted["features"]), .labels = labels_in(wanted["labels"])};
  Queue queue(1);
  const LinearProbe probe = fit_probe(
      queue, train, train, 3, {.penalties = {wanted["penalty"].get<double>()}, .tolerance = 1e-7});
  const Tensor weights = floats(wanted["weights"]);
  for (int64_t i = 0; i < weights.numel(); ++i)
    EXPECT_NEAR(probe.weight.f32()[i], weights.f32()[i], 1e-3 * std::abs(weights.f32()[i]) + 1e-4);
  for (int64_t c = 0; c < 3; ++c)
    EXPECT_NEAR(probe.bias.f32()[c], wanted["biases"][static_cast<size_t>(c)], 2e-3);
  ASSERT_TRUE(probe.map.has_value());
  EXPECT_EQ(probe.map, judge_probe(queue, probe, train).map);
}

TEST(MultiLabelTargets, AreMixedAsTheirPicturesAre) {
  const Tensor labels = labels_in(Json{{1, 0, 1}, {0, 0, 0}, {1, 1, 0}});
  const std::vector<MixDraw> draws{{.lambda = 0.75}, {.lambda = 1}, {.lambda = 0.5}};
  const Tensor targets = mix_targets(labels, 3, 0, draws);
  const std::vector<float> wanted{1, 0.25f, 0.75f, 0, 0, 0, 1, 0.5f, 0.5f};
  for (size_t i = 0; i < wanted.size(); ++i) EXPECT_EQ(targets.f32()[i], wanted[i]);
  EXPECT_EQ(count_correct(floats(Json{{2, -1, 0.5}, {-1, -1, -1}, {1, -1, -1}}), labels), 2);
}

TEST(AnsweringModel, IsWhatTheLossTeaches) {
  TrainConfig config = tiny_config();
  EXPECT_EQ(answering_model(config).class_answer().meaning, Answer::softmax);
  config.loss = "bce";
  EXPECT_EQ(answering_model(config).class_answer().meaning, Answer::sigmoid);
  EXPECT_FALSE(answering_model(config).class_answer().multi_label);
  config.learning.distillation = "hard";  // a teacher's class is followed by softmax
  EXPECT_EQ(answering_model(config).class_answer().meaning, Answer::softmax);
  config.learning.distillation = "none";
  as_vit(config.model).answer = Answer::sigmoid;
  as_vit(config.model).multi_label = true;
  EXPECT_THROW(answering_model(config), Error);  // label_smoothing
  config.label_smoothing = 0;
  EXPECT_TRUE(answering_model(config).class_answer().multi_label);
  config.loss = "cross_entropy";
  EXPECT_THROW(answering_model(config), Error);
  as_vit(config.model).multi_label = false;
  as_vit(config.model).answer = Answer::raw;
  EXPECT_THROW(answering_model(config), Error);
}

// A model of one class a picture that binary cross-entropy has taught says so itself.
TEST(AnsweringModel, OfARunIsInItsFolder) {
  TrainConfig config = tiny_config();
  config.epochs = 1;
  config.loss = "bce";
  const auto out = fresh_folder("bce");
  train(config, quiet_options(out));
  const auto model = load_model(out.string());
  EXPECT_EQ(as_vit(model->info.config).answer, Answer::sigmoid);
  EXPECT_FALSE(as_vit(model->info.config).multi_label);
}

}  // namespace
}  // namespace vitrail
