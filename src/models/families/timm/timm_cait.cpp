// timm's CaiT, whose names are those of Facebook's own files.
#include <algorithm>
#include <array>

#include "core/error.h"
#include "models/backbones/cait.h"
#include "models/families/registry.h"
#include "models/families/timm/timm.h"
#include "models/families/timm/timm_network.h"

namespace vitrail {
namespace {

struct CaitDefinition {
  std::string_view name;
  int side, embed_dim, depth, num_heads;
  double layer_scale;
};
constexpr CaitDefinition kCaitDefinitions[] = {
    {"cait_xxs24_224", 224, 192, 24, 4, 1e-5}, {"cait_xxs24_384", 384, 192, 24, 4, 1e-5},
    {"cait_xxs36_224", 224, 192, 36, 4, 1e-5}, {"cait_xxs36_384", 384, 192, 36, 4, 1e-5},
    {"cait_xs24_384", 384, 288, 24, 6, 1e-5},  {"cait_s24_224", 224, 384, 24, 8, 1e-5},
    {"cait_s24_384", 384, 384, 24, 8, 1e-5},   {"cait_s36_384", 384, 384, 36, 8, 1e-6},
    {"cait_m36_384", 384, 768, 36, 16, 1e-6},  {"cait_m48_448", 448, 768, 48, 16, 1e-6},
};
constexpr int64_t kCaitRatio = 4;  // of every definition's MLPs

constexpr FieldRule kCaitArguments[] = {
    {"patch_size"},
    {"global_pool"},
    {"embed_dim"},
    {"depth"},
    {"num_heads"},
    {"mlp_ratio"},
    {"qkv_bias"},
    {"init_values"},
    {"depth_token_only"},
    {"mlp_ratio_token_only"},
    {"act_layer", FieldRule::kOnly, "[]"},
    {"block_layers", FieldRule::kOnly, "[]"},
    {"block_layers_token", FieldRule::kOnly, "[]"},
    {"patch_layer", FieldRule::kOnly, "[]"},
    {"attn_block", FieldRule::kOnly, "[]"},
    {"mlp_block", FieldRule::kOnly, "[]"},
    {"attn_block_token_only", FieldRule::kOnly, "[]"},
    {"mlp_block_token_only", FieldRule::kOnly, "[]"},
};

constexpr NameRow kCaitRows[] = {
    {"blocks.#.ls1.gamma", {"@blocks.#.gamma_1"}},
    {"blocks.#.ls2.gamma", {"@blocks.#.gamma_2"}},
    {"blocks_token_only.#.ls1.gamma", {"@blocks_token_only.#.gamma_1"}},
    {"blocks_token_only.#.ls2.gamma", {"@blocks_token_only.#.gamma_2"}},
    {"blocks_token_only.#.attn.kv", {"@blocks_token_only.#.attn.k+@blocks_token_only.#.attn.v"}},
};

constexpr std::string_view kCaitClasses[] = {"timm.models.cait.Cait"};

class TimmCait : public TimmNetwork {
 public:
  const char* name() const override { return "timm_cait"; }
  const char* models() const override { return "timm's CaiT"; }
  std::string_view network() const override { return CaitConfig::kType; }
  std::string_view mark() const override { return "blocks_token_only.0.attn.q.weight"; }
  std::span<const std::string_view> module_classes() const override { return kCaitClasses; }
  NameTables tables(const Spelling&) const override { return {{kCaitRows}, 0, true}; }
  bool suits(const NetworkConfig& config) const override {
    const auto* cait = config.get_if<CaitConfig>();
    return cait != nullptr && cait->head_mixing == HeadMixingKind::projections;
  }

  std::vector<std::string_view> model_names() const override {
    std::vector<std::string_view> names;
    for (const CaitDefinition& definition : kCaitDefinitions) names.push_back(definition.name);
    return names;
  }
  PublishedModel published_model(std::string_view name) const override {
    const CaitDefinition& d = *std::ranges::find(kCaitDefinitions, name, &CaitDefinition::name);
    CaitConfig c;
    c.architecture = name;
    c.image_height = c.image_width = d.side;
    c.embed_dim = d.embed_dim;
    c.depth = d.depth;
    c.num_heads = d.num_heads;
    c.mlp_hidden_dim = c.class_mlp_hidden_dim = kCaitRatio * d.embed_dim;
    c.layer_scale_init = d.layer_scale;
    return {c, timm_preprocess({.side = d.side, .crop_permille = 1000})};
  }

  std::span<const FieldRule> arguments() const override { return kCaitArguments; }
  void apply_arguments(NetworkConfig& config, const TimmArguments& arguments) const override {
    CaitConfig& c = *config.get_if<CaitConfig>();
    double ratio = kCaitRatio, class_ratio = kCaitRatio;
    arguments.read("patch_size", c.patch_size);
    arguments.read("embed_dim", c.embed_dim);
    arguments.read("depth", c.depth);
    arguments.read("depth_token_only", c.class_depth);
    arguments.read("num_heads", c.num_heads);
    arguments.read("qkv_bias", c.qkv_bias);
    arguments.read("init_values", c.layer_scale_init);
    arguments.read("mlp_ratio", ratio);
    arguments.read("mlp_ratio_token_only", class_ratio);
    c.mlp_hidden_dim = timm_hidden(c.embed_dim, ratio);
    c.class_mlp_hidden_dim = timm_hidden(c.embed_dim, class_ratio);
    if (arguments.has("global_pool"))
      c.pooling = timm_token_pooling(arguments.text("global_pool"), arguments.place());
  }
  nlohmann::json arguments_for(const NetworkConfig& config) const override {
    const CaitConfig& c = *config.get_if<CaitConfig>();
    return {{"img_size", {c.image_height, c.image_width}},
            {"patch_size", c.patch_size},
            {"global_pool", global_pool(config)},
            {"embed_dim", c.embed_dim},
            {"depth", c.depth},
            {"num_heads", c.num_heads},
            {"mlp_ratio", timm_ratio(c.mlp_hidden_dim, c.embed_dim)},
            {"qkv_bias", c.qkv_bias},
            {"init_values", c.layer_scale_init},
            {"depth_token_only", c.class_depth},
            {"mlp_ratio_token_only", timm_ratio(c.class_mlp_hidden_dim, c.embed_dim)}};
  }
  const char* global_pool(const NetworkConfig& config) const override {
    return config.get_if<CaitConfig>()->pooling == Pooling::mean ? "avg" : "token";
  }
  void check_expressible(const NetworkConfig& config) const override {
    const CaitConfig& c = *config.get_if<CaitConfig>();
    const auto require = [](bool possible, const char* what) {
      if (!possible) fail("convert", "timm_cait models cannot express {}", what);
    };
    require(c.head_mixing == HeadMixingKind::projections, "another head_mixing than projections");
    require(!c.class_head_mixing, "class_head_mixing");
    require(c.class_norms_patches, "class attention to patches without a norm");
    require(c.patch_embedding == PatchEmbedding::convolution, "patches embedded by a matrix");
    require(c.head_size() * c.num_heads == c.embed_dim, "heads of a size of their own");
    require(c.activation == kernels::Activation::gelu, "another activation than gelu");
    require(c.layer_norm_epsilon == 1e-6, "another layer_norm_epsilon than 1e-6");
    require(
        c.position_grid_height == 0 || (c.position_grid_height * c.patch_size == c.image_height &&
                                        c.position_grid_width * c.patch_size == c.image_width),
        "positions that are stretched to other pictures");
  }
};

}  // namespace

const Family* timm_cait_family() {
  static const TimmCait family;
  return &family;
}

}  // namespace vitrail
