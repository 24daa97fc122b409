// timm's TinyViT.
#include <algorithm>
#include <array>

#include "core/error.h"
#include "models/backbones/tiny_vit_config.h"
#include "models/families/registry.h"
#include "models/families/timm/timm_network.h"

namespace vitrail {
namespace {

struct TinyVitRow {
  std::string_view name;
  std::array<int64_t, 4> embed_dims, num_heads, window_sizes;
  TimmPreprocess preprocess;
};
constexpr TinyVitRow kTinyVitRows[] = {
    {"tiny_vit_5m_224", {64, 128, 160, 320}, {2, 4, 5, 10}, {7, 7, 14, 7}, {224, 950}},
    {"tiny_vit_11m_224", {64, 128, 256, 448}, {2, 4, 8, 14}, {7, 7, 14, 7}, {224, 950}},
    {"tiny_vit_21m_224", {96, 192, 384, 576}, {3, 6, 12, 18}, {7, 7, 14, 7}, {224, 950}},
    {"tiny_vit_21m_384", {96, 192, 384, 576}, {3, 6, 12, 18}, {12, 12, 24, 12}, {384, 1000}},
    {"tiny_vit_21m_512",
     {96, 192, 384, 576},
     {3, 6, 12, 18},
     {16, 16, 32, 16},
     {.side = 512, .crop_permille = 1000, .crop_mode = "squash"}},
};

constexpr FieldRule kTinyVitArguments[] = {
    {"embed_dims"},
    {"depths"},
    {"num_heads"},
    {"window_sizes"},
    {"mlp_ratio"},
    {"mbconv_expand_ratio"},
    {"local_conv_size"},
    {"global_pool", FieldRule::kOnly, R"(["avg"])"},
    {"use_checkpoint", FieldRule::kFlag},
    {"act_layer", FieldRule::kOnly, "[]"},
};

class TimmTinyVitFamily : public TimmNetwork {
 public:
  const char* name() const override { return "timm_tiny_vit"; }
  const char* models() const override { return "timm's TinyViT"; }
  std::string_view network() const override { return TinyVitConfig::kType; }
  std::string_view mark() const override { return "stages.1.blocks.0.local_conv.conv.weight"; }
  NameTables tables(const Spelling&) const override {
    static constexpr NameRow kRows[] = {{"head", {"@head.fc"}}, {"fc_norm", {"@head.norm"}}};
    return {{kRows}, 0, true};
  }
  bool is_left_out(std::string_view tensor) const override {
    return tensor.ends_with(".num_batches_tracked") || tensor.ends_with(".attention_bias_idxs");
  }

  std::vector<std::string_view> model_names() const override {
    std::vector<std::string_view> names;
    for (const TinyVitRow& row : kTinyVitRows) names.push_back(row.name);
    return names;
  }
  PublishedModel published_model(std::string_view name) const override {
    const auto row = std::ranges::find(kTinyVitRows, name, &TinyVitRow::name);
    if (row == std::ranges::end(kTinyVitRows)) return TimmNetwork::published_model(name);
    TinyVitConfig c;
    c.architecture = name;
    c.image_height = c.image_width = row->preprocess.side;
    c.embed_dims.assign(row->embed_dims.begin(), row->embed_dims.end());
    c.num_heads.assign(row->num_heads.begin(), row->num_heads.end());
    c.window_sizes.assign(row->window_sizes.begin(), row->window_sizes.end());
    return {c, timm_preprocess(row->preprocess)};
  }

  std::span<const FieldRule> arguments() const override { return kTinyVitArguments; }
  void apply_arguments(NetworkConfig& network, const TimmArguments& arguments) const override {
    TinyVitConfig& c = *network.get_if<TinyVitConfig>();
    arguments.read("embed_dims", c.embed_dims);
    arguments.read("depths", c.depths);
    arguments.read("num_heads", c.num_heads);
    arguments.read("window_sizes", c.window_sizes);
    arguments.read("mlp_ratio", c.mlp_ratio);
    arguments.read("mbconv_expand_ratio", c.mbconv_expand_ratio);
    arguments.read("local_conv_size", c.local_conv_size);
  }
  nlohmann::json arguments_for(const NetworkConfig& network) const override {
    const TinyVitConfig& c = *network.get_if<TinyVitConfig>();
    return {{"embed_dims", c.embed_dims},
            {"depths", c.depths},
            {"num_heads", c.num_heads},
            {"window_sizes", c.window_sizes},
            {"mlp_ratio", c.mlp_ratio},
            {"mbconv_expand_ratio", c.mbconv_expand_ratio},
            {"local_conv_size", c.local_conv_size}};
  }
  const char* first_convolution() const override { return "patch_embed.conv1.conv"; }
  void check_expressible(const NetworkConfig& network) const override {
    check(network.get_if<TinyVitConfig>()->activation == kernels::Activation::gelu, "convert",
          "timm_tiny_vit models cannot express another activation than GELU");
  }
};

}  // namespace

const Family* timm_tiny_vit_family() {
  static const TimmTinyVitFamily family;
  return &family;
}

}  // namespace vitrail
