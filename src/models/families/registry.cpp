#include "models/families/registry.h"

#include <array>

namespace vitrail {

std::span<const Family* const> families() {
  static const std::array kFamilies = {
      timm_family(),       hf_vit_family(),      hf_deit_family(),  hf_dinov2_family(),
      hf_vit_msn_family(), hf_vit_mae_family(),  hf_ijepa_family(), hf_clip_family(),
      hf_owlvit_family(),  hf_siglip_family(),   hf_blip_family(),  hf_internvl_family(),
      dinov2_family(),     vit_pytorch_family(), own_family(),
  };
  return kFamilies;
}

std::span<const ConfigForm* const> config_forms() {
  static const std::array kForms = {&own_form(), &timm_form(), &transformers_form()};
  return kForms;
}

std::string known_models() {
  std::string list;
  for (const Family* family : families())
    list += (list.empty() ? "" : ", ") + std::string(family->models());
  return list;
}

}  // namespace vitrail
