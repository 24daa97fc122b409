// Rollout of the real ViT-Ti/16 against the direct product of N x N matrices, by timm's attention
// in float64. Skipped where the checkpoint is not at hand.
#include <gtest/gtest.h>

#include <cstdlib>

#include "explain/rollout.h"
#include "models/families/canonical.h"
#include "models/families/checkpoint.h"
#include "models/golden_case.h"
#include "models/vit.h"

namespace vitrail {
namespace {

TEST(RolloutGolden, RealCheckpointEqualsTheDirectProduct) {
  const char* set = std::getenv("VITRAIL_SHARED_DATA");
  const std::filesystem::path folder =
      std::filesystem::path(set != nullptr ? set : VITRAIL_SOURCE_DIR "/../shared/data") /
      "vit-tiny-imagenet";
  if (!std::filesystem::exists(folder / "model.safetensors"))
    GTEST_SKIP() << "no real checkpoint in " << folder
                 << "; VITRAIL_SHARED_DATA may name its place";
  const auto golden =
      SafetensorsFile::open(testing::golden_root() / "real/vit_tiny_attention.safetensors");
  const auto pictures = SafetensorsFile::open(folder / "golden_4images.safetensors");

  const Checkpoint checkpoint = open_checkpoint(folder);
  VisionTransformer model(as_vit(checkpoint.info.config));
  load_weights(model, *checkpoint.tensors);
  AttentionProbe probe({.keep = true});
  Queue queue(1);
  Context context(queue);
  context.probe = &probe;
  const NetworkOutput output = model.forward(context, pictures->tensor("input").rows(0, 1));

  const std::vector<double> start = model.head().pooling_weights(output.layout());
  for (const HeadFusion fusion : {HeadFusion::mean, HeadFusion::max, HeadFusion::min}) {
    const std::vector<float> ours = attention_rollout(queue, probe, 0, start, {.fusion = fusion});
    const Tensor expected = golden->tensor(std::string("rollout.") + name_of(fusion));
    const auto count = static_cast<int64_t>(ours.size());
    EXPECT_LE(testing::relative_error(Tensor::from(ours, {count}), expected), 1e-5)
        << name_of(fusion);
  }
}

}  // namespace
}  // namespace vitrail
