#include "models/families/registry.h"

#include <algorithm>
#include <array>

namespace vitrail {

std::span<const Family* const> families() {
  // A row for each family.
  // clang-format off
  static const std::array kFamilies = {
      timm_family(),
      timm_eva_family(),
      timm_beit_family(),
      timm_relpos_family(),
      timm_sam_family(),
      timm_cait_family(),
      timm_xcit_family(),
      timm_swin_family(),
      timm_swin_v2_family(),
      timm_pvt_v2_family(),
      timm_hiera_family(),
      timm_levit_family(),
      timm_tiny_vit_family(),
      timm_mobilevit_family(),
      timm_efficientformer_family(),
      hf_vit_family(),
      hf_deit_family(),
      hf_beit_family(),
      hf_data2vec_family(),
      hf_dinov2_family(),
      hf_dinov3_family(),
      hf_vit_msn_family(),
      hf_vit_mae_family(),
      hf_ijepa_family(),
      hf_clip_family(),
      hf_owlvit_family(),
      hf_siglip_family(),
      hf_siglip2_family(),
      hf_tipsv2_family(),
      hf_blip_family(),
      hf_internvl_family(),
      hf_aimv2_family(),
      hf_pvt_v2_family(),
      hf_levit_family(),
      hf_mobilevit_family(),
      hf_mobilevitv2_family(),
      hf_pvt_family(),
      hf_segformer_family(),
      hf_cvt_family(),
      hf_swin_family(),
      hf_swin_v2_family(),
      hf_hiera_family(),
      hf_sam_family(),
      hf_vitdet_family(),
      tiny_vit_family(),
      dinov2_family(),
      dinov3_family(),
      vit_pytorch_family(),
      vit_pytorch_simple_family(),
      swin_original_family(),
      swin_v2_original_family(),
      hiera_family(),
      sam_family(),
      vit_pytorch_cait_family(),
      own_family(),
  };
  // clang-format on
  return kFamilies;
}

std::span<const ConfigForm* const> config_forms() {
  static const std::array kForms = {&own_form(), &timm_form(), &transformers_form()};
  return kForms;
}

const Family* family_of_model(std::string_view name) {
  for (const Family* family : families()) {
    const std::vector<std::string_view> names = family->model_names();
    if (std::ranges::find(names, name) != names.end()) return family;
  }
  return nullptr;
}

std::string known_models() {
  std::string list;
  for (const Family* family : families())
    list += (list.empty() ? "" : ", ") + std::string(family->models());
  return list;
}

}  // namespace vitrail
