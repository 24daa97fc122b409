// transformers' SigLIP (Zhai et al. 2023), and SigLIP 2 of fixed sizes, which has the same classes:
// no class token, and a pooled vector by attention of a learned query over the patches. Its
// classifier reads the mean of the patches instead.
#include "models/families/hf/hf_siglip.h"
#include "core/error.h"
#include "formats/json.h"
#include "models/families/recognise.h"
#include "models/families/registry.h"

namespace vitrail {
namespace {

using C = VitConfig;

// The parameters of a torch.nn.MultiheadAttention stack q, k and v.
constexpr NameRow kHfSiglipRows[] = {
    {"norm", {"@post_layernorm"}},
    {"attn_pool.latent", {"@head.probe"}},
    {"attn_pool.q.weight", {"@head.attention.in_proj_weight[0:1/3]"}},
    {"attn_pool.q.bias", {"@head.attention.in_proj_bias[0:1/3]"}},
    {"attn_pool.kv.weight", {"@head.attention.in_proj_weight[1:3/3]"}},
    {"attn_pool.kv.bias", {"@head.attention.in_proj_bias[1:3/3]"}},
    {"attn_pool.proj", {"@head.attention.out_proj"}},
    {"attn_pool.norm", {"@head.layernorm"}},
    {"attn_pool.mlp.fc1", {"@head.mlp.fc1"}},
    {"attn_pool.mlp.fc2", {"@head.mlp.fc2"}},
    {"head", {"classifier"}},
};

constexpr FieldRule kHfSiglipFields[] = {{"vision_use_head"}};

constexpr HfModel kHfSiglipModels[] = {{.type = "siglip_vision_model",
                                        .stem = "SiglipVision",
                                        .epsilon = 1e-6,
                                        .activation = "gelu_pytorch_tanh"},
                                       {.type = "siglip",
                                        .stem = "Siglip",
                                        .epsilon = 1e-6,
                                        .activation = "gelu_pytorch_tanh",
                                        .tower = "vision_config"}};
constexpr std::string_view kHfSiglipArchitectures[] = {"SiglipModel", "SiglipVisionModel",
                                                       "SiglipForImageClassification"};
constexpr std::string_view kHfSiglipClasses[] = {
    "transformers.models.siglip.modeling_siglip.SiglipModel",
    "transformers.models.siglip.modeling_siglip.SiglipVisionModel",
    "transformers.models.siglip.modeling_siglip.SiglipForImageClassification",
};
constexpr Expressible kHfSiglipExpressible = {
    .class_token = Expressible::kNever, .qkv_bias = Expressible::kAlways, .any_activation = true};

// The attention that pools, where a classifier reads the mean of the patches.
bool is_pooling_tensor(std::string_view name) {
  for (const std::string_view part :
       {"head.probe", "head.attention.", "head.layernorm.", "head.mlp.fc1.", "head.mlp.fc2."})
    if (name.starts_with(part)) return true;
  return false;
}

class HfSiglipFamily : public HfSiglipTower {
 public:
  const char* name() const override { return "hf_siglip"; }
  const char* models() const override { return "transformers' SigLIP"; }
  std::span<const HfModel> hf_models() const override { return kHfSiglipModels; }
  std::span<const std::string_view> architectures() const override {
    return kHfSiglipArchitectures;
  }
  std::span<const std::string_view> module_classes() const override { return kHfSiglipClasses; }
  std::string_view mark() const override { return "head.attention.in_proj_weight"; }
  const Family* refines() const override { return hf_vit_family(); }
  bool suits(const NetworkConfig& config) const override {
    const auto* vit = config.get_if<C>();
    return vit != nullptr && !vit->tokens.class_token && is_map(vit->head.pooling);
  }
  const Expressible& expressible() const override { return kHfSiglipExpressible; }
};

}  // namespace

bool HfSiglipTower::is_left_out(std::string_view name) const {
  return is_pooling_tensor(name) || HfTower::is_left_out(name);
}

NameTables HfSiglipTower::tables(const Spelling&) const {
  return {{kHfSiglipRows, hf_tower_rows()}, 0, false};
}

std::vector<std::span<const FieldRule>> HfSiglipTower::config_fields(const HfModel& model) const {
  auto fields = HfTower::config_fields(model);
  fields.emplace_back(kHfSiglipFields);
  return fields;
}

// Names say the pooling where there is an attention for it; its classifier does not run that.
void HfSiglipTower::settle_head(ConfigDraft& draft, const FileReading& file) const {
  C& c = draft.config;
  if ((file.spelling.generation & kClassifier) && is_map(c.head.pooling)) {
    c.head.pooling = Pooling::mean;
    c.head.map.mlp_hidden_dim = 0;
    draft.record("pooling", std::string("every classifier of ") + name());
  }
  draft.settle("pooling", draft.config.head.pooling, Pooling::mean,
               every_model() + " without vision_use_head");
}

void HfSiglipTower::check_config(ConfigDraft& draft, const nlohmann::json& config,
                                 const std::string& place) const {
  HfTower::check_config(draft, config, place);
  if (draft.config.num_classes == 0)
    agree_with_tensors(config, "vision_use_head", is_map(draft.config.head.pooling), place);
}

const HfModel& HfSiglipTower::written_model(const C& c) const {
  return hf_models()[is_classifier(c) ? 1 : 0];
}

void HfSiglipTower::add_fields(const C& c, nlohmann::json& out) const {
  HfTower::add_fields(c, out);
  out["vision_use_head"] = is_map(c.head.pooling);
}

void HfSiglipTower::add_model_fields(const C&, nlohmann::json& out) const {
  out["vision_config"]["model_type"] = hf_models()[0].type;
}

void HfSiglipTower::express_head(ModelEdit& model) const {
  C& c = model.config;
  if (c.head.pooling == Pooling::mean_all) c.head.pooling = Pooling::mean;
  if (c.head.pooling == Pooling::map_all) c.head.pooling = Pooling::map;
  model.require(
      c.head.pooling == Pooling::mean || (c.head.pooling == Pooling::map && c.num_classes == 0),
      "any head but one of the patches' mean");
  model.require(
      c.head.pooling == Pooling::mean ||
          ((c.head.map.num_heads == 0 || c.head.map.num_heads == c.block.attention.num_heads) &&
           (c.head.map.mlp_hidden_dim == 0 || c.head.map.mlp_hidden_dim == c.mlp_hidden())),
      "map pooling with heads and MLP of its own");
  model.require(!c.patches.norms, "norms around the patch embedding");
  flatten_tokens(model);
}

const Family* hf_siglip_family() {
  static const HfSiglipFamily family;
  return &family;
}

}  // namespace vitrail
