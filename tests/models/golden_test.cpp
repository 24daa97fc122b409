// Every tiny checkpoint of tests/golden/models, loaded as a user loads one, against what its own
// library computed in float64: logits, blocks, attention rows, gradients, ten steps of AdamW.
#include <gtest/gtest.h>

#include <set>

#include "kernels/adamw.h"
#include "models/golden_case.h"
#include "models/golden_model.h"
#include "ops/attention_probe.h"
#include "ops/softmax_cross_entropy.h"

namespace vitrail {
namespace {

using testing::golden_case_names;
using testing::GoldenCase;
using testing::GoldenModel;
using testing::open_golden;
using testing::relative_error;

constexpr double kForwardBound = 1e-5, kGradientBound = 1e-4, kLossBound = 1e-4;
// A missing folder must fail, not pass unseen: one number for each family that the generator knows.
// clang-format off
const std::map<std::string, int> kExpectedCases = {
    {"cait", 6},
    {"cvt", 4},
    {"dinov2", 8},
    {"efficientformer", 3},
    {"hf", 35},
    {"hf_beit", 7},
    {"hf_dinov3", 4},
    {"hf_tower", 24},
    {"hiera", 7},
    {"levit", 7},
    {"mobilevit", 8},
    {"open_clip", 4},
    {"pvt", 3},
    {"pvt_v2", 7},
    {"sam", 8},
    {"segformer", 4},
    {"swin", 10},
    {"timm", 44},
    {"timm_blocks", 14},
    {"timm_positions", 25},
    {"tiny_vit", 5},
    {"vit_pytorch", 26},
    {"vitdet", 4},
    {"vitrail", 55},
    {"xcit", 5},
};
// clang-format on

class Golden : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    golden_ = open_golden(GetParam());
    model_ = testing::load_golden_model(golden_);
  }

  // The model's answer: its logits, or the pooled vector when it has no head.
  static Variable answer_of(const NetworkOutput& output) {
    return output.logits.defined() ? output.logits : output.pooled;
  }
  NetworkOutput forward(const Context& context) {
    return model_.network->forward(context, golden_.at("input"));
  }
  Variable answer(const Context& context) { return answer_of(forward(context)); }

  Variable loss(const Context& context) {
    return softmax_cross_entropy(context, answer(context), golden_.at("labels"));
  }

  void expect_close(const Tensor& ours, const std::string& name, double stated) {
    EXPECT_LE(relative_error(ours, golden_.at(name)), golden_.bound(name, stated)) << name;
  }

  Queue queue_{1};
  GoldenCase golden_;
  GoldenModel model_;
};

TEST_P(Golden, LogitsBlocksAndAttentionRows) {
  AttentionProbe probe({.all_queries = true});
  std::map<std::string, Tensor> seen;
  Context context(queue_);
  context.probe = &probe;
  context.observer = [&](const std::string& path, const Variable& value) {
    seen[path] = value.value().clone();
  };
  const NetworkOutput output = forward(context);
  expect_close(answer_of(output).value(), "logits", kForwardBound);
  const Backbone& backbone = model_.network->backbone();
  const std::vector<BlockPlace> blocks = backbone.blocks();
  ASSERT_EQ(golden_.named("block.").size(), blocks.size());
  for (size_t i = 0; i < blocks.size(); ++i) {
    ASSERT_TRUE(seen.contains(blocks[i].path)) << blocks[i].path;
    expect_close(seen[blocks[i].path], "block." + std::to_string(i), kForwardBound);
  }
  for (const std::string& stage : golden_.named("stage."))
    expect_close(output.features.at(std::stoul(stage)).tokens.value(), "stage." + stage,
                 kForwardBound);
  const std::vector<AttentionLayer> layers = backbone.attentions();
  for (const std::string& layer : golden_.named("attention.")) {
    const Tensor& rows = probe.record(layers.at(std::stoul(layer)).path).rows;
    expect_close(rows, "attention." + layer, kForwardBound);
  }
}

TEST_P(Golden, RecordingChangesNoLogit) {
  Tape tape;
  Context context(queue_);
  context.tape = &tape;
  expect_close(answer(context).value(), "logits", kForwardBound);
}

TEST_P(Golden, GradientOfEveryParameter) {
  Tape tape;
  Context context(queue_);
  context.tape = &tape;
  tape.backward(queue_, loss(context));

  const std::vector<std::string> expected = golden_.named("grad.");
  double most = 0;
  for (const std::string& name : expected)
    most = std::max(most, testing::largest(golden_.at("grad." + name).values()));
  const std::map<std::string, Tensor> ours = model_.gradients_in_family_names();
  for (const std::string& name : expected) {
    ASSERT_TRUE(ours.contains(name)) << name;
    // What cancels to nothing, as the gradient of k's bias does under softmax, is the rounding of
    // its terms: with this floor it may differ by 2e-7 of the largest gradient, two steps of f32.
    const double error = relative_error(ours.at(name), golden_.at("grad." + name), 2e-3 * most);
    EXPECT_LE(error, golden_.bound("grad." + name, kGradientBound)) << name;
  }
  const std::set<std::string> added = golden_.info.value("added", std::set<std::string>());
  for (const auto& [name, gradient] : ours)
    EXPECT_NE(golden_.has("grad." + name), added.contains(name))
        << name << " has a gradient that the library lacks";
}

TEST_P(Golden, TenStepsOfAdamW) {
  for (const auto& parameter : model_.network->parameters().all())
    parameter->set_value(parameter->value().clone());  // a mapped file is not written to
  const nlohmann::json& optimizer = golden_.info.at("adamw");
  const int64_t steps = optimizer.at("steps");
  struct Moments {
    Tensor first, second;
  };
  std::map<const Parameter*, Moments> state;
  Tensor losses = Tensor::zeros({steps + 1});
  for (int64_t step = 1; step <= steps + 1; ++step) {
    Tape tape;
    Context context(queue_);
    context.tape = &tape;
    const Variable value = loss(context);
    losses.f32()[step - 1] = value.value().f32()[0];
    tape.backward(queue_, value);
    for (const auto& parameter : model_.network->parameters().all()) {
      const Tensor gradient = parameter->gradient();
      if (!gradient.defined()) continue;
      Moments& moments = state[parameter.get()];
      if (step == 1)
        moments = {Tensor::zeros(parameter->shape()), Tensor::zeros(parameter->shape())};
      kernels::adamw(queue_, {.count = gradient.numel(),
                              .parameter = parameter->value().f32(),
                              .gradient = gradient.f32(),
                              .first_moment = moments.first.f32(),
                              .second_moment = moments.second.f32(),
                              .step = step,
                              .learning_rate = optimizer.at("lr"),
                              .beta1 = optimizer.at("betas").at(0),
                              .beta2 = optimizer.at("betas").at(1),
                              .epsilon = optimizer.at("eps"),
                              .weight_decay = optimizer.at("weight_decay")});
      parameter->changed();
    }
    model_.network->parameters().clear_gradients();
  }
  expect_close(losses, "losses", kLossBound);
}

INSTANTIATE_TEST_SUITE_P(Models, Golden, ::testing::ValuesIn(golden_case_names()),
                         [](const auto& parameter) {
                           std::string name = parameter.param;
                           std::ranges::replace(name, '/', '_');
                           return name;
                         });

TEST(GoldenFolders, AreAllThere) {
  std::map<std::string, int> found;
  for (const std::string& name : golden_case_names()) ++found[name.substr(0, name.find('/'))];
  EXPECT_EQ(found, kExpectedCases);
}

}  // namespace
}  // namespace vitrail
