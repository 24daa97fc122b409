#include "models/families/hf/hf_missing.h"

#include <algorithm>
#include <array>
#include <span>

namespace vitrail {
namespace {

// Models by what they have and Vitrail has not; the first list that names one says it.
struct MissingPart {
  const char* part;
  std::span<const std::string_view> types;
};

constexpr std::string_view kVideos[] = {"videomae",      "timesformer", "vivit",
                                        "vjepa2",        "vjepa2_1",    "xclip",
                                        "tvp",           "videoprism",  "videoprism_vision_model",
                                        "sam2_video",    "sam3_video",  "edgetam_video",
                                        "video_llama_3", "video_llava"};
constexpr std::string_view kDetectors[] = {"yolos",
                                           "owlvit",
                                           "owlv2",
                                           "detr",
                                           "conditional_detr",
                                           "deformable_detr",
                                           "deta",
                                           "dab-detr",
                                           "rt_detr",
                                           "rt_detr_v2",
                                           "d_fine",
                                           "deimv2",
                                           "rf_detr",
                                           "lw_detr",
                                           "grounding-dino",
                                           "mm-grounding-dino",
                                           "omdet-turbo",
                                           "table-transformer",
                                           "pp_doclayout_v2",
                                           "pp_doclayout_v3"};
constexpr std::string_view kSegmenters[] = {"mask2former", "maskformer",  "oneformer",
                                            "eomt",        "eomt_dinov3", "upernet",
                                            "seggpt",      "clipseg",     "videomt"};
constexpr std::string_view kPromptedSegmenters[] = {"sam",    "sam2",   "sam3", "sam3_lite_text",
                                                    "sam_hq", "edgetam"};
constexpr std::string_view kDepth[] = {
    "dpt", "depth_anything", "zoedepth", "glpn", "prompt_depth_anything", "depth_pro", "chmv2"};
constexpr std::string_view kPoses[] = {"vitpose",   "vitpose_backbone", "superpoint",
                                       "superglue", "lightglue",        "efficientloftr"};
constexpr std::string_view kTexts[] = {"vision-encoder-decoder",
                                       "vision-text-dual-encoder",
                                       "blip",
                                       "blip-2",
                                       "instructblip",
                                       "instructblipvideo",
                                       "git",
                                       "pix2struct",
                                       "pix2struct_vision_model",
                                       "donut",
                                       "trocr",
                                       "kosmos-2",
                                       "kosmos-2.5",
                                       "llava",
                                       "llava_next",
                                       "llava_onevision",
                                       "paligemma",
                                       "idefics",
                                       "idefics2",
                                       "idefics3",
                                       "smolvlm",
                                       "internvl",
                                       "mllama",
                                       "florence2",
                                       "flava",
                                       "bridgetower",
                                       "vilt",
                                       "visual_bert",
                                       "lxmert",
                                       "align",
                                       "altclip",
                                       "groupvit",
                                       "tipsv2",

                                       "aimv2",
                                       "got_ocr2",
                                       "qwen2_vl",
                                       "qwen2_5_vl",
                                       "qwen3_vl",
                                       "gemma3",
                                       "gemma3n",
                                       "gemma4",
                                       "mgp-str",
                                       "layoutlmv3",
                                       "udop",
                                       "ovis2",
                                       "janus",
                                       "emu3",
                                       "chameleon",
                                       "perceiver",
                                       "x-clip"};
constexpr std::string_view kConvolutions[] = {"resnet",
                                              "regnet",
                                              "convnext",
                                              "convnextv2",
                                              "efficientnet",
                                              "mobilenet_v1",
                                              "mobilenet_v2",
                                              "bit",
                                              "van",
                                              "hgnet_v2",
                                              "focalnet",
                                              "align_vision_model",
                                              "swiftformer",
                                              "poolformer",
                                              "textnet",
                                              "rt_detr_resnet",
                                              "dinov3_convnext",
                                              "timm_backbone"};
constexpr std::string_view kMixed[] = {"vit_hybrid"};
constexpr std::string_view kWindows[] = {"lw_detr_vit", "rf_detr_dinov2", "vitdet"};
constexpr std::string_view kNeighbours[] = {"nat", "dinat"};
constexpr std::string_view kGroups[] = {"groupvit_vision_model"};
constexpr std::string_view kRotaryClass[] = {"mlcd", "mlcd_vision_model"};
constexpr std::string_view kPackedRows[] = {"pixtral", "qwen2_vl_vision", "glm4v_vision"};
constexpr std::string_view kGrouped[] = {"sapiens2"};
constexpr std::string_view kSeveralClassTokens[] = {"pixio"};
constexpr std::string_view kPixelsAsWords[] = {"imagegpt"};
constexpr std::string_view kShifted[] = {"swin2sr", "donut-swin", "maskformer-swin"};

constexpr std::array kMissingOfHf = {
    MissingPart{"frames of videos", kVideos},
    MissingPart{"a head that detects objects", kDetectors},
    MissingPart{"a head that segments pictures", kSegmenters},
    MissingPart{"a decoder of masks", kPromptedSegmenters},
    MissingPart{"a head that estimates depth", kDepth},
    MissingPart{"a head of keypoints", kPoses},
    MissingPart{"a tower or a decoder of texts", kTexts},
    MissingPart{"convolutional stages", kConvolutions},
    MissingPart{"a convolutional stem", kMixed},
    MissingPart{"windows of its own kind", kWindows},
    MissingPart{"attention to neighbours", kNeighbours},
    MissingPart{"tokens of groups", kGroups},
    MissingPart{"a rotary position of the class token", kRotaryClass},
    MissingPart{"patches of several pictures in one row", kPackedRows},
    MissingPart{"rotary positions and grouped queries", kGrouped},
    MissingPart{"several class tokens", kSeveralClassTokens},
    MissingPart{"pixels as words", kPixelsAsWords},
    MissingPart{"shifted windows", kShifted},
};

}  // namespace

const char* missing_of_hf(std::string_view model_type) {
  for (const MissingPart& missing : kMissingOfHf)
    if (std::ranges::find(missing.types, model_type) != missing.types.end()) return missing.part;
  return nullptr;
}

}  // namespace vitrail
