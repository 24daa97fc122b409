// Weights stored in 8 bits: they reach a model as integers, and everybody else as floats.
#include "models/families/quantized_tensors.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "kernels/gemm_int8.h"
#include "models/family_fixtures.h"
#include "models/lora.h"
#include "models/peft/apply_adapter.h"
#include "models/vit.h"
#include "support/temporary_folder.h"

namespace vitrail {
namespace {

using testing::own_checkpoint;
using testing::random_weights;
using testing::tiny_config;

using Wanted = std::function<bool(const std::string& name)>;

// The matrices that `wanted` names in 8 bits, with their scales beside them.
NamedTensors quantized(const NamedTensors& tensors, const Wanted& wanted) {
  NamedTensors stored;
  Queue queue(1);
  for (const auto& [name, tensor] : tensors) {
    if (tensor.rank() < 2 || !wanted(name)) {
      stored.emplace_back(name, tensor);
      continue;
    }
    const kernels::QuantizedWeight weight = kernels::quantize_weight(
        queue, tensor.f32(), tensor.size(0), tensor.numel() / tensor.size(0));
    stored.emplace_back(name, weight.values.reshape(tensor.shape()));
    stored.emplace_back(scale_name(name), weight.scales);
  }
  return stored;
}

NamedTensors hf_tensors(const VitConfig& config) {
  NamedTensors tensors;
  for (const auto& [name, tensor] : random_weights(config))
    for (auto& part :
         split_parts({name, names_in(spelling_for(hf_vit_family(), config), name)}, tensor))
      tensors.push_back(std::move(part));
  return tensors;
}

Checkpoint read_hf(const NamedTensors& tensors) {
  const Json config = {{"model_type", "vit"}, {"hidden_size", 24}, {"num_attention_heads", 2},
                       {"image_size", 16},    {"patch_size", 4},   {"num_hidden_layers", 2},
                       {"hidden_act", "gelu"}};
  return read_checkpoint(std::make_shared<MemoryTensors>(tensors),
                         {.config = config, .preprocessor = nullptr, .labels_file = {}},
                         testing::without_preprocess());
}

bool same_bytes(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() &&
         std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

constexpr const char* kQkv = "blocks.1.attn.qkv.weight";

TEST(QuantizedTensors, IntegersAndFloatsAreTheSameWeight) {
  const NamedTensors stored = quantized(random_weights(tiny_config()),
                                        [](const std::string& name) { return name == kQkv; });
  const MemoryTensors file(stored);
  const Checkpoint checkpoint = own_checkpoint(tiny_config(), stored);
  const auto weight = checkpoint.tensors->quantized(kQkv);
  ASSERT_TRUE(weight);
  EXPECT_TRUE(same_bytes(weight->values, file.tensor(kQkv)));
  EXPECT_TRUE(same_bytes(weight->scales, file.tensor(scale_name(kQkv))));
  EXPECT_FALSE(checkpoint.tensors->contains(scale_name(kQkv)));
  EXPECT_FALSE(checkpoint.tensors->quantized("blocks.0.attn.qkv.weight"));
  EXPECT_FALSE(checkpoint.tensors->quantized("no.such.weight"));

  VisionTransformer model(as_vit(checkpoint.info.config));
  load_weights(model, *checkpoint.tensors);
  const Parameter& parameter = model.parameters().at(kQkv);
  ASSERT_NE(parameter.quantized(), nullptr);
  EXPECT_TRUE(same_bytes(parameter.value(), checkpoint.tensors->tensor(kQkv)));
  const int64_t columns = parameter.shape()[1];
  for (int64_t i = 0; i < parameter.value().numel(); ++i)
    ASSERT_EQ(parameter.value().f32()[i], weight->scales.f32()[i / columns] *
                                              static_cast<float>(weight->values.data<int8_t>()[i]));
}

// transformers' q, k and v are three files' tensors and one of ours.
TEST(QuantizedTensors, PartsAreStackedWithTheirScales) {
  const std::string prefix = "vit.encoder.layer.1.attention.attention.";
  const auto in_attention = [&](const std::string& name) { return name.starts_with(prefix); };
  const NamedTensors stored = quantized(hf_tensors(tiny_config()), in_attention);
  const MemoryTensors file(stored);
  const Checkpoint checkpoint = read_hf(stored);
  const auto weight = checkpoint.tensors->quantized(kQkv);
  ASSERT_TRUE(weight);
  EXPECT_EQ(weight->values.shape(), (Shape{72, 24}));
  EXPECT_EQ(weight->scales.shape(), Shape{72});
  int64_t row = 0;
  for (const char* part : {"query", "key", "value"}) {
    const std::string name = prefix + part + ".weight";
    EXPECT_TRUE(same_bytes(weight->values.rows(row, row + 24), file.tensor(name))) << part;
    EXPECT_TRUE(same_bytes(weight->scales.rows(row, row + 24), file.tensor(scale_name(name))))
        << part;
    row += 24;
  }
}

TEST(QuantizedTensors, OnePartInFloatsMakesAllOfThemFloats) {
  const NamedTensors stored = quantized(hf_tensors(tiny_config()), [](const std::string& name) {
    return name.ends_with("layer.1.attention.attention.key.weight");
  });
  const Checkpoint checkpoint = read_hf(stored);
  EXPECT_FALSE(checkpoint.tensors->quantized(kQkv));
  EXPECT_EQ(checkpoint.tensors->tensor(kQkv).dtype(), DType::f32);
}

TEST(QuantizedTensors, ScalesThatMakeNoFiniteWeightAreRefused) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), 1e38f}) {
    const NamedTensors stored = quantized(random_weights(tiny_config()),
                                          [](const std::string& name) { return name == kQkv; });
    for (const auto& [name, tensor] : stored)
      if (name == scale_name(kQkv)) tensor.f32()[3] = bad;
    const Checkpoint checkpoint = own_checkpoint(tiny_config(), stored);
    VisionTransformer model(as_vit(checkpoint.info.config));
    EXPECT_ERROR(load_weights(model, *checkpoint.tensors), kQkv);
  }
}

TEST(QuantizedTensors, AnAdapterChangesItsOwnModulesAlone) {
  const NamedTensors stored =
      quantized(random_weights(tiny_config()), [](const std::string&) { return true; });
  Checkpoint base = own_checkpoint(tiny_config(), stored);
  VisionTransformer model(as_vit(base.info.config));
  load_weights(model, *base.tensors);
  add_lora(model, {.rank = 2, .alpha = 2}, 1);
  const testing::TemporaryFolder folder;
  write_adapter(folder.path(), model,
                {.config = {.rank = 2, .alpha = 2}, .base_model = "tiny", .labels = {}});
  apply_adapter(base, folder.path());
  EXPECT_FALSE(base.tensors->quantized(kQkv));
  EXPECT_FALSE(base.tensors->quantized("head.weight"));
  EXPECT_TRUE(base.tensors->quantized("patch_embed.proj.weight"));
}

}  // namespace
}  // namespace vitrail
