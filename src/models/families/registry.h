// The families that Vitrail knows, and the forms of their configurations: the only place that lists
// them. A new family has a line here and a row in registry.cpp.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "models/families/config_form.h"
#include "models/families/family.h"

namespace vitrail {

// In the order in which messages list them. Names differ.
std::span<const Family* const> families();
// In the order in which a configuration is asked for its form.
std::span<const ConfigForm* const> config_forms();

// The family that knows a published model of this name; null: none does.
const Family* family_of_model(std::string_view name);

// "timm's ViT and DeiT, transformers' ViT, ...": all models of all families, for messages.
std::string known_models();

const Family* timm_family();
const Family* timm_eva_family();
const Family* timm_beit_family();
const Family* timm_relpos_family();
const Family* timm_sam_family();
const Family* timm_cait_family();
const Family* timm_xcit_family();
const Family* timm_swin_family();
const Family* timm_swin_v2_family();
const Family* timm_pvt_v2_family();
const Family* timm_hiera_family();
const Family* timm_levit_family();
const Family* timm_tiny_vit_family();
const Family* timm_mobilevit_family();
const Family* timm_efficientformer_family();
const Family* hf_vit_family();
const Family* hf_deit_family();
const Family* hf_beit_family();
const Family* hf_data2vec_family();
const Family* hf_dinov2_family();
const Family* hf_dinov3_family();
const Family* hf_vit_msn_family();
const Family* hf_vit_mae_family();
const Family* hf_ijepa_family();
const Family* hf_clip_family();
const Family* hf_owlvit_family();
const Family* hf_siglip_family();
const Family* hf_siglip2_family();
const Family* hf_tipsv2_family();
const Family* hf_blip_family();
const Family* hf_internvl_family();
const Family* hf_aimv2_family();
const Family* hf_pvt_v2_family();
const Family* hf_levit_family();
const Family* hf_mobilevit_family();
const Family* hf_mobilevitv2_family();
const Family* hf_pvt_family();
const Family* hf_segformer_family();
const Family* hf_cvt_family();
const Family* hf_swin_family();
const Family* hf_swin_v2_family();
const Family* hf_hiera_family();
const Family* hf_sam_family();
const Family* hf_vitdet_family();
const Family* tiny_vit_family();
const Family* dinov2_family();
const Family* dinov3_family();
const Family* vit_pytorch_family();
const Family* vit_pytorch_simple_family();
const Family* swin_original_family();
const Family* swin_v2_original_family();
const Family* hiera_family();
const Family* sam_family();
const Family* vit_pytorch_cait_family();
// own_family() is declared in family.h.

const ConfigForm& own_form();
const ConfigForm& timm_form();
const ConfigForm& transformers_form();

}  // namespace vitrail
