// timm's VisionTransformerSAM: SAM's image encoder, with classes behind it or without.
#include <algorithm>
#include <array>

#include "core/error.h"
#include "models/backbones/vitdet_config.h"
#include "models/families/recognise.h"
#include "models/families/registry.h"
#include "models/families/timm/timm_network.h"

namespace vitrail {
namespace {

struct SamDefinition {
  std::string_view name;
  int embed_dim, depth, num_heads;
  std::array<int, 4> global_blocks;
  bool classifier = false;  // pictures of 224, no table of the grid, no convolutions
};
constexpr SamDefinition kSamDefinitions[] = {
    {"samvit_base_patch16", 768, 12, 12, {2, 5, 8, 11}},
    {"samvit_large_patch16", 1024, 24, 16, {5, 11, 17, 23}},
    {"samvit_huge_patch16", 1280, 32, 16, {7, 15, 23, 31}},
    {"samvit_base_patch16_224", 768, 12, 12, {2, 5, 8, 11}, true},
};

constexpr NameRow kTimmSamRows[] = {
    {"neck.conv1", {"@neck.0"}}, {"neck.norm1", {"@neck.1"}}, {"neck.conv2", {"@neck.2"}},
    {"neck.norm2", {"@neck.3"}}, {"head", {"@head.fc"}},
};
constexpr std::string_view kTimmSamClasses[] = {
    "timm.models.vision_transformer_sam.VisionTransformerSAM"};

constexpr FieldRule kTimmSamArguments[] = {
    {"patch_size"},
    {"embed_dim"},
    {"depth"},
    {"num_heads"},
    {"mlp_ratio"},
    {"qkv_bias"},
    {"qk_norm"},
    {"init_values"},
    {"global_pool", FieldRule::kOnly, R"(["avg"])"},
    {"pre_norm", FieldRule::kOnly, "[false]"},
    {"use_abs_pos"},
    {"use_rel_pos"},
    {"use_rope", FieldRule::kOnly, "[false]"},
    {"ref_feat_shape", FieldRule::kIdle},  // of rotary positions
    {"window_size"},
    {"global_attn_indexes"},
    {"neck_chans"},
    {"head_hidden_size", FieldRule::kOnly, "[]"},
    {"patch_drop_rate", FieldRule::kNumber},
    {"act_layer", FieldRule::kOnly, "[]"},
    {"block_fn", FieldRule::kOnly, "[]"},
    {"mlp_layer", FieldRule::kOnly, "[]"},
    {"embed_layer", FieldRule::kOnly, "[]"},
};

// Of its blocks, which take torch's default where the original has 1e-6.
constexpr double kTimmSamEpsilon = 1e-5;

VitDetConfig sam_definition(const SamDefinition& of) {
  VitDetConfig c;
  c.architecture = of.name;
  c.image_height = c.image_width = of.classifier ? 224 : 1024;
  c.num_classes = of.classifier ? 1000 : 0;
  c.embed_dim = of.embed_dim;
  c.depth = of.depth;
  c.num_heads = of.num_heads;
  c.global_blocks.assign(of.global_blocks.begin(), of.global_blocks.end());
  c.layer_norm_epsilon = kTimmSamEpsilon;
  c.absolute_positions = !of.classifier;
  c.neck = of.classifier ? Neck::norm : Neck::convolutions;
  return c;
}

const VitDetConfig& as_sam(const NetworkConfig& config) {
  return *config.get_if<VitDetConfig>();
}

class TimmSamFamily : public TimmNetwork {
 public:
  const char* name() const override { return "timm_sam"; }
  const char* models() const override { return "timm's SAM"; }
  std::span<const std::string_view> module_classes() const override { return kTimmSamClasses; }
  std::string_view network() const override { return VitDetConfig::kType; }
  std::string_view mark() const override { return "blocks.0.attn.qkv.weight"; }
  NameTables tables(const Spelling&) const override { return {{kTimmSamRows}, 0, true}; }

  // Its names are a plain Vision Transformer's, and a neck.
  std::optional<Claim> recognise(const FileEvidence& file) const override {
    auto claim = TimmNetwork::recognise(file);
    if (!claim || !file.tensors().contains(claim->prefix + "blocks.0.mlp.fc1.weight"))
      return std::nullopt;
    for (const char* neck : {"neck.0.weight", "neck.weight"})
      if (file.tensors().contains(claim->prefix + neck)) {
        if (!claim->by_config) claim->because = claim->prefix + neck;
        return claim;
      }
    return std::nullopt;
  }

  std::vector<std::string_view> model_names() const override {
    std::vector<std::string_view> names;
    for (const SamDefinition& one : kSamDefinitions) names.push_back(one.name);
    return names;
  }
  PublishedModel published_model(std::string_view name) const override {
    const auto* found = std::ranges::find(kSamDefinitions, name, &SamDefinition::name);
    return {sam_definition(*found),
            timm_preprocess({.side = found->classifier ? 224 : 1024,
                             .crop_permille = found->classifier ? 900 : 1000})};
  }

  std::span<const FieldRule> arguments() const override { return kTimmSamArguments; }
  void apply_arguments(NetworkConfig& config, const TimmArguments& arguments) const override {
    VitDetConfig& c = *config.get_if<VitDetConfig>();
    double ratio = 4;
    arguments.read_sides("patch_size", c.patch_height, c.patch_width);
    arguments.read("embed_dim", c.embed_dim);
    arguments.read("depth", c.depth);
    arguments.read("num_heads", c.num_heads);
    arguments.read("mlp_ratio", ratio);
    c.mlp_hidden_dim = static_cast<int64_t>(static_cast<double>(c.embed_dim) * ratio);
    arguments.read("qkv_bias", c.qkv_bias);
    arguments.read("qk_norm", c.qk_norm);
    arguments.read("use_abs_pos", c.absolute_positions);
    arguments.read("use_rel_pos", c.relative_positions);
    arguments.read("window_size", c.window_size);
    arguments.read("global_attn_indexes", c.global_blocks);
    std::ranges::sort(c.global_blocks);
    if (arguments.has("init_values")) {
      arguments.read("init_values", c.layer_scale_init);
      c.layer_scale = c.layer_scale_init != 0;
    }
    if (!arguments.has("neck_chans")) return;
    arguments.read("neck_chans", c.neck_channels);
    c.neck = c.neck_channels == 0 ? Neck::norm : Neck::convolutions;
  }
  // A file of fewer blocks than its definition is taken at its word.
  void follow_tensors(NetworkConfig& config, const FileReading& file) const override {
    config.get_if<VitDetConfig>()->depth = count_blocks(file.tensors, file.spelling);
  }

  std::string_view written_architecture(const NetworkConfig& config) const override {
    const VitDetConfig& c = as_sam(config);
    for (const SamDefinition& one : kSamDefinitions)
      if (one.name == c.architecture) return one.name;
    return "samvit_base_patch16";
  }
  nlohmann::json arguments_for(const NetworkConfig& config) const override {
    const VitDetConfig& c = as_sam(config);
    nlohmann::json out = {
        {"img_size", {c.image_height, c.image_width}},
        {"patch_size", {c.patch_height, c.patch_width}},
        {"embed_dim", c.embed_dim},
        {"depth", c.depth},
        {"num_heads", c.num_heads},
        // The factor is cut to a whole number, which half of a unit more does not change.
        {"mlp_ratio",
         c.mlp_hidden() % c.embed_dim == 0
             ? static_cast<double>(c.mlp_hidden() / c.embed_dim)
             : (static_cast<double>(c.mlp_hidden()) + 0.5) / static_cast<double>(c.embed_dim)},
        {"qkv_bias", c.qkv_bias},
        {"qk_norm", c.qk_norm},
        {"use_abs_pos", c.absolute_positions},
        {"use_rel_pos", c.relative_positions},
        {"window_size", c.window_size},
        {"global_attn_indexes", c.global_blocks},
        {"neck_chans", c.neck == Neck::norm ? 0 : c.neck_channels}};
    if (c.layer_scale) out["init_values"] = c.layer_scale_init;
    return out;
  }
  void check_expressible(const NetworkConfig& config) const override {
    const VitDetConfig& c = as_sam(config);
    const auto require = [](bool can, const char* what) {
      check(can, "convert", "timm's SAM has no {}", what);
    };
    require(c.layer_norm_epsilon == kTimmSamEpsilon,
            "epsilon of LayerNorm but 1e-5, where the original and transformers have 1e-6");
    require(c.activation == kernels::Activation::gelu, "activation but gelu");
    require(c.residual_blocks.empty(), "residual blocks");
    require(c.neck != Neck::none, "model without a neck");
    require(c.position_prefix == 0, "rows of positions before the grid's");
    require((!c.absolute_positions || (c.position_rows() == c.grid_height(c.image_height) &&
                                       c.position_columns() == c.grid_width(c.image_width))) &&
                (!c.relative_positions || (c.relative_rows() == c.grid_height(c.image_height) &&
                                           c.relative_columns() == c.grid_width(c.image_width))),
            "positions of another grid than the picture's; convert it at the size that it was made "
            "for");
  }
};

}  // namespace

const Family* timm_sam_family() {
  static const TimmSamFamily family;
  return &family;
}

}  // namespace vitrail
