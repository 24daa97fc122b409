// A quantized folder: its integers are those that run, and floats are made for who asks for them.
#include <gtest/gtest.h>

#include <cstring>

#include "core/memory.h"
#include "formats/safetensors.h"
#include "infer/session.h"
#include "infer/small_models.h"
#include "kernels/isa.h"
#include "models/families/quantized_tensors.h"
#include "models/model_folder.h"
#include "ops/packed_weight.h"

namespace vitrail {
namespace {

using testing::same_bits;
using testing::TemporaryFolder;

class QuantizedFolder : public ::testing::Test {
 protected:
  QuantizedFolder() {
    plan_.layers["blocks.0.mlp"] = Precision::f32;
    plan_.layers["blocks.1.attn.proj"] = Precision::bf16;
  }
  void write(const VitConfig& config) {
    const auto model = testing::model_of(config);
    write_model_folder(folder_.path(), {.network = *model->network,
                                        .preprocess = to_json(model->preprocess),
                                        .labels = {},
                                        .precision = plan_});
  }
  std::shared_ptr<Model> load(const std::optional<PackOptions>& pack = std::nullopt) const {
    return load_model(folder_.path().string(), {.threads = 2, .pack = pack});
  }
  // The same model, given to it in floats.
  std::shared_ptr<Model> load_floats() const {
    auto model = load();
    for (const auto& parameter : model->network->parameters().all())
      parameter->set_value(parameter->value().clone());
    return model;
  }

  PrecisionPlan plan_ = default_plan(Precision::int8);
  TemporaryFolder folder_;
};

void expect_same_form(const kernels::PackedInt8& a, const kernels::PackedInt8& b) {
  const auto same = [](const Tensor& x, const Tensor& y) {
    return x.shape() == y.shape() && std::memcmp(x.raw(), y.raw(), x.bytes()) == 0;
  };
  EXPECT_TRUE(same(a.panels, b.panels));
  EXPECT_TRUE(same(a.scales, b.scales));
  EXPECT_TRUE(same(a.sums, b.sums));
}

TEST_F(QuantizedFolder, ItsIntegersArePackedAsTheyStand) {
  write(testing::small_config());
  const auto file = open_tensors(folder_.path());
  const auto model = load(), floats = load_floats();
  Queue queue(2);
  int packed = 0;
  for (const auto& parameter : model->network->parameters().all()) {
    const std::string& path = parameter->path();
    SCOPED_TRACE(path);
    const bool stored = parameter->read_packed() && plan_.of(path) == Precision::int8;
    EXPECT_EQ(file->info(path).dtype == DType::i8, stored);
    EXPECT_EQ(parameter->quantized() != nullptr, stored);
    if (!stored) continue;
    ++packed;
    const auto form = packed_int8(queue, *parameter);
    const Tensor values = file->tensor(path).reshape({parameter->shape()[0], -1});
    expect_same_form(*form, kernels::pack_int8(queue, {values, file->tensor(scale_name(path))}));
    // Quantizing its floats anew gives the same: nothing drifts when a model is written again.
    expect_same_form(*form, *packed_int8(queue, floats->network->parameters().at(path)));
  }
  EXPECT_EQ(packed, 2 * 4 - 3);
}

TEST_F(QuantizedFolder, AnswersAreThoseOfItsFloatsInEveryPrecision) {
  const std::vector<Image> pictures = testing::scenes(2);
  for (const VitConfig& config : testing::varied_configs()) {
    write(config);
    for (const PrecisionPlan& plan :
         {plan_, default_plan(Precision::f32), default_plan(Precision::bf16)}) {
      SCOPED_TRACE(name_of(plan.base));
      const SessionOptions options{.threads = 2, .precision = plan};
      const Tensor expected = Session(load_floats(), options).logits(pictures);
      EXPECT_TRUE(same_bits(Session(load(), options).logits(pictures), expected));
      EXPECT_TRUE(same_bits(Session(load(PackOptions{.precision = plan}), options).logits(pictures),
                            expected));
      SessionOptions unpacked = options;
      unpacked.pack = false;
      EXPECT_TRUE(same_bits(Session(load(), unpacked).logits(pictures), expected));
    }
  }
}

TEST_F(QuantizedFolder, ASessionOfItNeedsNoFloats) {
  VitConfig config = testing::small_config();
  config.embed_dim = 192;
  config.depth = 4;
  plan_ = default_plan(Precision::int8);
  write(config);
  const size_t before = memory_stats().bytes_in_use;
  const auto model = load();
  const auto floats = static_cast<size_t>(model->network->parameters().num_elements()) * 4;
  // The integers as they were read are a quarter of the floats.
  EXPECT_LT(memory_stats().bytes_in_use - before, floats / 3);
  Session session(model, {.threads = 1});
  EXPECT_LT(memory_stats().bytes_in_use - before, floats / 2);
  const Parameter& weight = model->network->parameters().at("blocks.0.mlp.fc1.weight");
  EXPECT_EQ(weight.quantized(), nullptr);
  EXPECT_FALSE(weight.has_value());
}

}  // namespace
}  // namespace vitrail
