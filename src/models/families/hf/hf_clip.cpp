// transformers' CLIP (Radford et al. 2021), MetaCLIP 2 and ChineseCLIP, whose towers of pictures
// are one: a norm before the blocks, no bias of the patches, and a norm of the class token alone
// behind the blocks.
#include "models/families/hf/hf_clip.h"
#include "models/families/answer_rules.h"
#include "models/families/registry.h"

namespace vitrail {
namespace {

using C = VitConfig;

constexpr NameRow kHfClipRows[] = {
    {"norm_pre", {"@pre_layrnorm"}},
    {"fc_norm", {"@post_layernorm"}},
};
constexpr NameRow kHfClipProjection[] = {{"head", {"visual_projection"}}};
constexpr NameRow kHfClipClassifier[] = {{"head", {"classifier"}}};

constexpr HfModel kHfClipModels[] = {
    {.type = "clip_vision_model",
     .stem = "CLIPVision",
     .epsilon = 1e-5,
     .activation = "quick_gelu"},
    {.type = "clip",
     .stem = "CLIP",
     .epsilon = 1e-5,
     .activation = "quick_gelu",
     .tower = "vision_config"},
    {.type = "metaclip_2_vision_model",
     .stem = "MetaClip2Vision",
     .epsilon = 1e-5,
     .activation = "quick_gelu"},
    {.type = "metaclip_2",
     .stem = "MetaClip2",
     .epsilon = 1e-5,
     .activation = "quick_gelu",
     .tower = "vision_config"},
    {.type = "chinese_clip_vision_model",
     .stem = "ChineseCLIPVision",
     .epsilon = 1e-5,
     .activation = "quick_gelu"},
    {.type = "chinese_clip",
     .stem = "ChineseCLIP",
     .epsilon = 1e-5,
     .activation = "quick_gelu",
     .tower = "vision_config"},
};
constexpr std::string_view kHfClipArchitectures[] = {
    "CLIPModel",
    "CLIPVisionModel",
    "CLIPVisionModelWithProjection",
    "CLIPForImageClassification",
    "MetaClip2Model",
    "MetaClip2VisionModel",
    "MetaClip2VisionModelWithProjection",
    "MetaClip2ForImageClassification",
    "ChineseCLIPModel",
    "ChineseCLIPVisionModel",
};
constexpr std::string_view kHfClipClasses[] = {
    "transformers.models.clip.modeling_clip.CLIPModel",
    "transformers.models.clip.modeling_clip.CLIPVisionModel",
    "transformers.models.clip.modeling_clip.CLIPVisionModelWithProjection",
    "transformers.models.clip.modeling_clip.CLIPForImageClassification",
    "transformers.models.metaclip_2.modeling_metaclip_2.MetaClip2Model",
    "transformers.models.metaclip_2.modeling_metaclip_2.MetaClip2VisionModel",
    "transformers.models.metaclip_2.modeling_metaclip_2.MetaClip2VisionModelWithProjection",
    "transformers.models.metaclip_2.modeling_metaclip_2.MetaClip2ForImageClassification",
    "transformers.models.chinese_clip.modeling_chinese_clip.ChineseCLIPModel",
    "transformers.models.chinese_clip.modeling_chinese_clip.ChineseCLIPVisionModel",
};
constexpr Expressible kHfClipExpressible = {.qkv_bias = Expressible::kAlways,
                                            .patch_bias = Expressible::kNever,
                                            .pre_norm = Expressible::kAlways,
                                            .final_norm = Expressible::kAfterPooling,
                                            .any_activation = true,
                                            .optional_head_bias = true};

class HfClipFamily : public HfClipTower {
 public:
  const char* name() const override { return "hf_clip"; }
  const char* models() const override { return "transformers' CLIP"; }
  std::span<const HfModel> hf_models() const override { return kHfClipModels; }
  std::span<const std::string_view> architectures() const override { return kHfClipArchitectures; }
  std::span<const std::string_view> module_classes() const override { return kHfClipClasses; }
  std::string_view mark() const override { return "pre_layrnorm.weight"; }
  const Family* refines() const override { return hf_vit_family(); }
  bool suits(const NetworkConfig& config) const override {
    const auto* vit = config.get_if<C>();
    return vit != nullptr && vit->pre_norm && vit->tokens.class_token;
  }

  NameTables tables(const Spelling& s) const override {
    if (s.generation & kClassifier)
      return {{kHfClipRows, kHfClipClassifier, hf_tower_rows()}, 0, false};
    return {{kHfClipRows, kHfClipProjection, hf_tower_rows()}, 0, false};
  }
  const HfModel& written_model(const C& c) const override {
    return kHfClipModels[is_classifier(c) ? 1 : 0];
  }
  std::string written_class(const C& c) const override {
    if (is_classifier(c)) return "ForImageClassification";
    return c.num_classes > 0 ? "ModelWithProjection" : "Model";
  }
  void add_fields(const C& c, nlohmann::json& out) const override {
    HfTower::add_fields(c, out);
    if (c.num_classes > 0 && !is_classifier(c)) out["projection_dim"] = c.num_classes;
  }
  void add_model_fields(const C&, nlohmann::json& out) const override {
    out["vision_config"]["model_type"] = kHfClipModels[0].type;
  }
  const Expressible& expressible() const override { return kHfClipExpressible; }
};

}  // namespace

bool HfClipTower::is_left_out(std::string_view name) const {
  // Of a classifier, which reads the tokens before it.
  return name == "post_layernorm.weight" || name == "post_layernorm.bias" ||
         HfTower::is_left_out(name);
}

bool HfClipTower::is_classifier(const C& c) const {
  return c.num_classes > 0 && c.head.pooling == Pooling::mean;
}

void HfClipTower::settle_head(ConfigDraft& draft, const FileReading& file) const {
  C& c = draft.config;
  if (file.spelling.generation & kClassifier) {
    c.head.norm = false;
    draft.settle("pooling", draft.config.head.pooling, Pooling::mean,
                 std::string("every classifier of ") + name());
    return;
  }
  draft.settle("pooling", draft.config.head.pooling, Pooling::class_token, every_model());
  if (c.num_classes > 0) settle_answer(draft, {Answer::raw}, "names (a projection)");
}

void HfClipTower::check_head(const ConfigDraft& draft, const nlohmann::json& config,
                             const std::string& place) const {
  if (draft.config.num_classes == 0) return;
  const char* width = is_classifier(draft.config) ? "num_labels" : "projection_dim";
  agree_with_tensors(config, width, draft.config.num_classes, place);
}

void HfClipTower::express_head(ModelEdit& model) const {
  C& c = model.config;
  if (is_classifier(c)) {
    model.require(!c.head.norm, "a norm of the patches' mean");
    add_unread_norm(model);
    if (!c.head.bias) model.tensors["head.bias"] = Tensor::zeros({c.num_classes}).to(model.dtype());
    c.head.bias = true;
  } else {
    model.require(c.head.pooling == Pooling::class_token, "any pooling but the class token's");
    model.require(c.head.norm, "a class token without a norm");
    model.require(c.num_classes == 0 || (!c.head.bias && c.answer == Answer::raw),
                  "a head but a projection without a bias, whose answer is raw");
  }
  flatten_tokens(model);
}

// Of the library's classifier, which has one and does not read it.
void HfClipTower::add_unread_norm(ModelEdit& model) {
  const int64_t dim = model.config.embed_dim;
  model.tensors["fc_norm.weight"] = Tensor::full({dim}, 1.0f).to(model.dtype());
  model.tensors["fc_norm.bias"] = Tensor::zeros({dim}).to(model.dtype());
}

const Family* hf_clip_family() {
  static const HfClipFamily family;
  return &family;
}

}  // namespace vitrail
