#include "models/families/module_class.h"

#include <gtest/gtest.h>

#include "models/families/checkpoint.h"
#include "models/vit.h"
#include "support/errors.h"

namespace vitrail {
namespace {

const std::filesystem::path kClassGolden = VITRAIL_SOURCE_DIR "/tests/golden/formats";

TEST(ModuleClass, OfAnotherNameIsRefusedWhateverItsTensors) {
  for (const char* known : {"timm.models.vision_transformer.VisionTransformer",
                            "transformers.models.vit.modeling_vit.ViTForImageClassification",
                            "vit_pytorch.vit.ViT", "vit_pytorch.simple_vit.SimpleViT"})
    EXPECT_TRUE(is_known_module_class(known));
  for (const char* other :
       {"timm.models.eva.Eva", "torchvision.models.vision_transformer.VisionTransformer",
        "vit_pytorch.nest.NesT", "__main__.VisionTransformer", ""})
    EXPECT_FALSE(is_known_module_class(other)) << other;
  EXPECT_ERROR(open_checkpoint(kClassGolden / "whole.pth"),
               "is a module of the class timm.models.eva.Eva");
  EXPECT_ERROR(open_checkpoint(kClassGolden / "traced.pth"), "torch.fx.graph_module.GraphModule");
  // Tensors alone say nothing of a class; these are of no family at all.
  EXPECT_ERROR(open_checkpoint(kClassGolden / "lightning.pth"), "no known family");
}

}  // namespace
}  // namespace vitrail
