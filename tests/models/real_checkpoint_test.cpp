// The real ViT-Ti/16: logits and attention rows of every layer and head against timm's unfused
// attention in float64. Skipped where the checkpoint is not at hand.
#include <gtest/gtest.h>

#include <cstdlib>

#include "models/families/canonical.h"
#include "models/families/checkpoint.h"
#include "models/golden_case.h"
#include "models/vit.h"
#include "ops/attention_probe.h"

namespace vitrail {
namespace {

using testing::relative_error;

std::filesystem::path shared_data() {
  const char* set = std::getenv("VITRAIL_SHARED_DATA");
  return set != nullptr ? set : VITRAIL_SOURCE_DIR "/../shared/data";
}

TEST(RealCheckpoint, AttentionRowsOfEveryLayerAndHeadEqualTimms) {
  const std::filesystem::path folder = shared_data() / "vit-tiny-imagenet";
  if (!std::filesystem::exists(folder / "model.safetensors"))
    GTEST_SKIP() << "no real checkpoint in " << folder
                 << "; VITRAIL_SHARED_DATA may name its place";
  const auto golden =
      SafetensorsFile::open(testing::golden_root() / "real/vit_tiny_attention.safetensors");
  const auto pictures = SafetensorsFile::open(folder / "golden_4images.safetensors");

  const Checkpoint checkpoint = open_checkpoint(folder);
  VisionTransformer model(as_vit(checkpoint.info.config));
  load_weights(model, *checkpoint.tensors);
  const Tensor queries = golden->tensor("queries");
  AttentionProbe probe(
      {.queries = {queries.data<int64_t>(), queries.data<int64_t>() + queries.numel()}});
  Queue queue(1);
  Context context(queue);
  context.probe = &probe;
  const NetworkOutput output = model.forward(context, pictures->tensor("input").rows(0, 1));

  EXPECT_LE(relative_error(output.logits.value(), golden->tensor("logits")), 1e-5);
  const Tensor rows = golden->tensor("rows");  // [layers, heads, queries, N]
  ASSERT_EQ(rows.size(0), as_vit(checkpoint.info.config).depth);
  for (int64_t layer = 0; layer < rows.size(0); ++layer) {
    const Tensor& ours = probe.record("blocks." + std::to_string(layer) + ".attn").rows;
    EXPECT_LE(relative_error(ours, rows.rows(layer, layer + 1)), 1e-5) << "layer " << layer;
  }
}

}  // namespace
}  // namespace vitrail
