#include "tasks/quantize.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "image/preprocess/preprocess.h"
#include "infer/session.h"
#include "infer/small_models.h"
#include "models/model_folder.h"
#include "tasks/evaluate.h"

namespace vitrail {
namespace {

using testing::TemporaryFolder;

// Scenes under classes that the model does not know.
std::unique_ptr<Dataset> unknown_pictures(const TemporaryFolder& folder, int64_t count) {
  const std::vector<Image> pictures = testing::scenes(static_cast<int>(count));
  for (size_t i = 0; i < pictures.size(); ++i) {
    const std::string name = i % 2 == 0 ? "thing" : "other";
    std::filesystem::create_directories(folder / name);
    write_png(folder / (name + "/" + std::to_string(i) + ".png"), pictures[i]);
  }
  return open_dataset("folder:" + folder.path().string(), Split::all);
}

class Quantize : public ::testing::Test {
 protected:
  // The bundled model was trained on such scenes, with another seed.
  std::shared_ptr<Model> model = load_model("scenes");
  std::unique_ptr<Dataset> pictures = open_dataset("scenes:test=60,seed=77", Split::test);
};

TEST_F(Quantize, ReportsEveryLayerAndHoldsTheAccuracy) {
  const QuantizeReport report = quantize(model, *pictures, {.max_drop = 3});
  EXPECT_EQ(report.measure, "top1");
  EXPECT_EQ(report.pictures, 60);
  EXPECT_GE(report.before, 0.9);
  EXPECT_NEAR(100 * (report.before - report.after), report.drop, 1e-9);
  EXPECT_LE(report.drop_low, report.drop);
  EXPECT_GE(report.drop_high, report.drop);
  // Four projections and the attention of a block, and neither the tokenizer nor the head.
  const auto depth = static_cast<size_t>(as_vit(model->info.config).depth);
  EXPECT_EQ(report.layers.size(), 5 * depth);
  size_t attentions = 0;
  for (const LayerError& layer : report.layers) {
    const bool weightless = layer.path.ends_with(".attn.sdpa");
    attentions += weightless;
    if (weightless)
      EXPECT_EQ(layer.weight_error, 0) << layer.path;
    else
      EXPECT_GT(layer.weight_error, 1e-4) << layer.path;
    EXPECT_LT(layer.weight_error, 0.03) << layer.path;
    EXPECT_GT(layer.answer_error, 0) << layer.path;
    EXPECT_LT(layer.answer_error, 0.1) << layer.path;
  }
  EXPECT_EQ(attentions, depth);
  EXPECT_LT(report.answer_error, 0.2);
  EXPECT_GT(report.answer_error, 0);
}

TEST_F(Quantize, PicturesOfOtherClassesAreMeasuredByTheAnswersThemselves) {
  TemporaryFolder folder;
  const auto other = unknown_pictures(folder, 5);
  const QuantizeReport report = quantize(model, *other, {});
  EXPECT_EQ(report.measure, "cosine");
  EXPECT_EQ(report.before, 1);
  EXPECT_GT(report.after, 0.9);
  EXPECT_LT(report.after, 1);
  EXPECT_NEAR(report.drop, 100 * (1 - report.after), 1e-9);
}

// No best class says whether yes stays yes, nor whether a value stays what it is.
TEST_F(Quantize, IsMeasuredByWhatTheAnswerIs) {
  const auto several = load_model("scenes", {.settings = {{"multi_label", "true"}}});
  const QuantizeReport decisions = quantize(several, *pictures, {});
  EXPECT_EQ(decisions.measure, "decisions");
  EXPECT_LE(decisions.agreement, decisions.after);
  EXPECT_GT(decisions.after, 0.8);
  EXPECT_NEAR(decisions.drop, 100 * (1 - decisions.after), 1e-9);
  const auto values = load_model("scenes", {.settings = {{"answer", "raw"}}});
  const QuantizeReport moved = quantize(values, *pictures, {});
  EXPECT_EQ(moved.measure, "values");
  EXPECT_GT(moved.drop, 0);
  EXPECT_LT(moved.drop, 20);
  // Sigmoids of one class a picture are ranked as ever.
  const auto single = load_model("scenes", {.settings = {{"answer", "sigmoid"}}});
  EXPECT_EQ(quantize(single, *pictures, {}).measure, "top1");
}

TEST_F(Quantize, RaisesLayersUntilTheBoundHolds) {
  TemporaryFolder folder;
  const auto other = unknown_pictures(folder, 3);
  const QuantizeReport loose = quantize(model, *other, {.max_drop = 100, .raise_layers = true});
  EXPECT_TRUE(loose.raised.empty());
  const double bound = loose.drop / 4;
  const QuantizeReport tight = quantize(model, *other, {.max_drop = bound, .raise_layers = true});
  EXPECT_FALSE(tight.raised.empty());
  EXPECT_LT(tight.raised.size(), tight.layers.size());
  EXPECT_LE(tight.drop, bound);
  EXPECT_EQ(tight.raised.front(), loose.worst_layer());
  EXPECT_EQ(tight.plan.of(tight.raised.front() + ".weight"), Precision::bf16);
}

// The plan turns attention off for a block, or for the model, as it does a projection.
TEST_F(Quantize, AttentionIsKeptByItsName) {
  QuantizeOptions options;
  options.max_drop = 100;
  const double whole = quantize(model, *pictures, options).answer_error;
  options.plan.layers["blocks.0.attn.sdpa"] = Precision::f32;
  const QuantizeReport kept = quantize(model, *pictures, options);
  EXPECT_NE(kept.answer_error, whole);
  for (const LayerError& layer : kept.layers) EXPECT_NE(layer.path, "blocks.0.attn.sdpa");
  EXPECT_EQ(kept.plan.of("blocks.0.attn.qkv.weight"), Precision::int8);
  options.plan.layers["blocks.99.attn.sdpa"] = Precision::f32;
  EXPECT_THROW(quantize(model, *pictures, options), Error);
}

TEST_F(Quantize, RefusesALayerThatIsNotThere) {
  QuantizeOptions options;
  options.plan.layers["blocks.77"] = Precision::f32;
  EXPECT_THROW(quantize(model, *pictures, options), Error);
}

// What the folder holds answers as the model did in that precision, to the bit of the integers.
TEST_F(Quantize, TheWrittenFolderAnswersAsMeasured) {
  TemporaryFolder folder;
  PrecisionPlan plan = default_plan(Precision::int8);
  plan.layers["blocks.0"] = Precision::f32;
  std::vector<std::string> labels;
  for (const auto& name : model->labels.names) labels.push_back(name.value_or(""));
  write_model_folder(folder.path(), {.network = *model->network,
                                     .preprocess = to_json(model->preprocess),
                                     .labels = labels,
                                     .precision = plan});
  const auto written = load_model(folder.path().string());
  EXPECT_EQ(written->precision, plan);
  EXPECT_LT(
      std::filesystem::file_size(folder.path() / "model.safetensors"),
      0.6 * static_cast<double>(std::filesystem::file_size(model->path / "model.safetensors")));
  Session before(model, {.precision = plan, .pack = false});
  Session after(written);
  std::vector<Image> images;
  for (int64_t i = 0; i < 6; ++i) images.push_back(pictures->get(i).image);
  const Tensor expected = before.logits(images), given = after.logits(images);
  for (int64_t i = 0; i < expected.numel(); ++i)
    EXPECT_NEAR(given.f32()[i], expected.f32()[i], 2e-4);
}

TEST_F(Quantize, APackedModelServesOnePrecision) {
  Session first(model, {.precision = default_plan(Precision::int8)});
  Session same(model, {.precision = default_plan(Precision::int8)});
  EXPECT_THROW(Session(model, {}), Error);
}

TEST(PrecisionPlan, TheLongestPathWins) {
  PrecisionPlan plan{.base = Precision::int8,
                     .layers = {{"blocks.1", Precision::bf16},
                                {"blocks.1.mlp.fc1", Precision::f32},
                                {"head", Precision::f32}}};
  EXPECT_EQ(plan.of("blocks.1.attn.qkv.weight"), Precision::bf16);
  EXPECT_EQ(plan.of("blocks.1.mlp.fc1.weight"), Precision::f32);
  EXPECT_EQ(plan.of("blocks.1"), Precision::bf16);
  EXPECT_EQ(plan.of("blocks.10.mlp.fc1.weight"), Precision::int8);
  EXPECT_EQ(plan.of("head.weight"), Precision::f32);
  EXPECT_EQ(plan.of("head_dist.weight"), Precision::int8);
  EXPECT_THROW(precision_from_name("fp16"), Error);
}

}  // namespace
}  // namespace vitrail
