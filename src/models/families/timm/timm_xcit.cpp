// timm's XCiT.
#include <algorithm>
#include <array>
#include <string>

#include "core/error.h"
#include "models/backbones/xcit.h"
#include "models/families/registry.h"
#include "models/families/timm/timm.h"
#include "models/families/timm/timm_network.h"

namespace vitrail {
namespace {

// Each in patches of 16 and of 8 pixels, for pictures of 224 and of 384.
struct XcitSize {
  std::string_view name;
  int embed_dim, depth, num_heads;
  double layer_scale;
  bool tokens_norm;
};
constexpr XcitSize kXcitSizes[] = {
    {"nano_12", 128, 12, 4, 1, false},     {"tiny_12", 192, 12, 4, 1, true},
    {"tiny_24", 192, 24, 4, 1e-5, true},   {"small_12", 384, 12, 8, 1, true},
    {"small_24", 384, 24, 8, 1e-5, true},  {"medium_24", 512, 24, 8, 1e-5, true},
    {"large_24", 768, 24, 16, 1e-5, true},
};
constexpr int64_t kXcitRatio = 4;  // of every definition's MLPs

struct XcitDefinition {
  std::string name;
  const XcitSize* size;
  int patch, side;
};
const std::vector<XcitDefinition>& xcit_definitions() {
  static const std::vector<XcitDefinition> all = [] {
    std::vector<XcitDefinition> made;
    for (const XcitSize& size : kXcitSizes)
      for (const int patch : {16, 8})
        for (const int side : {224, 384})
          made.push_back(
              {fmt::format("xcit_{}_p{}_{}", size.name, patch, side), &size, patch, side});
    return made;
  }();
  return all;
}

constexpr FieldRule kXcitArguments[] = {
    {"patch_size"},    {"global_pool"}, {"embed_dim"},   {"depth"},
    {"num_heads"},     {"mlp_ratio"},   {"qkv_bias"},    {"cls_attn_layers"},
    {"use_pos_embed"}, {"eta"},         {"tokens_norm"}, {"act_layer", FieldRule::kOnly, "[]"},
};

constexpr NameRow kXcitRows[] = {
    {"cls_attn_blocks.#.attn.kv", {"@cls_attn_blocks.#.attn.k+@cls_attn_blocks.#.attn.v"}},
};

constexpr std::string_view kXcitClasses[] = {"timm.models.xcit.Xcit"};

class TimmXcit : public TimmNetwork {
 public:
  const char* name() const override { return "timm_xcit"; }
  const char* models() const override { return "timm's XCiT"; }
  std::string_view network() const override { return XcitConfig::kType; }
  std::string_view mark() const override { return "cls_attn_blocks.0.attn.q.weight"; }
  std::span<const std::string_view> module_classes() const override { return kXcitClasses; }
  NameTables tables(const Spelling&) const override { return {{kXcitRows}, 0, true}; }
  // How many batches the running statistics have seen.
  bool is_left_out(std::string_view name) const override {
    return name.ends_with(".num_batches_tracked");
  }
  const char* first_convolution() const override { return "patch_embed.proj.0.0"; }

  std::vector<std::string_view> model_names() const override {
    std::vector<std::string_view> names;
    for (const XcitDefinition& definition : xcit_definitions()) names.push_back(definition.name);
    return names;
  }
  PublishedModel published_model(std::string_view name) const override {
    const XcitDefinition& d = *std::ranges::find(xcit_definitions(), name, &XcitDefinition::name);
    XcitConfig c;
    c.architecture = name;
    c.image_height = c.image_width = d.side;
    c.patch_size = d.patch;
    c.embed_dim = d.size->embed_dim;
    c.depth = d.size->depth;
    c.num_heads = d.size->num_heads;
    c.mlp_hidden_dim = kXcitRatio * c.embed_dim;
    c.layer_scale_init = d.size->layer_scale;
    c.tokens_norm = d.size->tokens_norm;
    return {c, timm_preprocess({.side = d.side, .crop_permille = 1000})};
  }

  std::span<const FieldRule> arguments() const override { return kXcitArguments; }
  void apply_arguments(NetworkConfig& config, const TimmArguments& arguments) const override {
    XcitConfig& c = *config.get_if<XcitConfig>();
    double ratio = kXcitRatio;
    arguments.read("patch_size", c.patch_size);
    arguments.read("embed_dim", c.embed_dim);
    arguments.read("depth", c.depth);
    arguments.read("cls_attn_layers", c.class_depth);
    arguments.read("num_heads", c.num_heads);
    arguments.read("qkv_bias", c.qkv_bias);
    arguments.read("use_pos_embed", c.fourier_positions);
    arguments.read("eta", c.layer_scale_init);
    arguments.read("tokens_norm", c.tokens_norm);
    arguments.read("mlp_ratio", ratio);
    c.mlp_hidden_dim = timm_hidden(c.embed_dim, ratio);
    if (arguments.has("global_pool"))
      c.pooling = timm_token_pooling(arguments.text("global_pool"), arguments.place());
  }
  nlohmann::json arguments_for(const NetworkConfig& config) const override {
    const XcitConfig& c = *config.get_if<XcitConfig>();
    return {{"img_size", {c.image_height, c.image_width}},
            {"patch_size", c.patch_size},
            {"global_pool", global_pool(config)},
            {"embed_dim", c.embed_dim},
            {"depth", c.depth},
            {"num_heads", c.num_heads},
            {"mlp_ratio", timm_ratio(c.mlp_hidden_dim, c.embed_dim)},
            {"qkv_bias", c.qkv_bias},
            {"cls_attn_layers", c.class_depth},
            {"use_pos_embed", c.fourier_positions},
            {"eta", c.layer_scale_init},
            {"tokens_norm", c.tokens_norm}};
  }
  const char* global_pool(const NetworkConfig& config) const override {
    return config.get_if<XcitConfig>()->pooling == Pooling::mean ? "avg" : "token";
  }
  void check_expressible(const NetworkConfig& config) const override {
    const XcitConfig& c = *config.get_if<XcitConfig>();
    if (c.activation != kernels::Activation::gelu)
      fail("convert", "timm_xcit models cannot express another activation than gelu");
    if (c.layer_norm_epsilon != 1e-6)
      fail("convert", "timm_xcit models cannot express another layer_norm_epsilon than 1e-6");
  }
};

}  // namespace

const Family* timm_xcit_family() {
  static const TimmXcit family;
  return &family;
}

}  // namespace vitrail
