#include "models/families/module_class.h"

#include <algorithm>

#include "core/error.h"
#include "core/printable.h"

namespace vitrail {
namespace {

constexpr std::string_view kKnown[] = {
    "timm.models.vision_transformer.VisionTransformer",
    "timm.models.vision_transformer.VisionTransformerDistilled",
    "timm.models.deit.VisionTransformerDistilled",
    "transformers.models.vit.modeling_vit.ViTModel",
    "transformers.models.vit.modeling_vit.ViTForImageClassification",
    "transformers.models.deit.modeling_deit.DeiTModel",
    "transformers.models.deit.modeling_deit.DeiTForImageClassification",
    "transformers.models.deit.modeling_deit.DeiTForImageClassificationWithTeacher",
    "transformers.models.dinov2.modeling_dinov2.Dinov2Model",
    "transformers.models.dinov2.modeling_dinov2.Dinov2ForImageClassification",
    "transformers.models.dinov2_with_registers.modeling_dinov2_with_registers."
    "Dinov2WithRegistersModel",
    "transformers.models.dinov2_with_registers.modeling_dinov2_with_registers."
    "Dinov2WithRegistersForImageClassification",
    "dinov2.models.vision_transformer.DinoVisionTransformer",
    "vit_pytorch.vit.ViT",
    "vit_pytorch.vit_pytorch.ViT",
};

}  // namespace

bool is_known_module_class(std::string_view name) {
  return std::ranges::find(kKnown, name) != std::end(kKnown);
}

void check_module_class(const TensorSource& tensors) {
  const std::string& name = tensors.module_class();
  if (name.empty() || is_known_module_class(name)) return;
  fail("family",
       "{}: is a module of the class {}, which is not known; where it is one of timm's or "
       "transformers' ViT, DeiT or DINOv2, or vit-pytorch's ViT, under another name, save its "
       "state_dict()",
       tensors.place(), printable(name));
}

}  // namespace vitrail
