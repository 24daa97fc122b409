// timm's EfficientFormer, version 1.
#include <algorithm>
#include <array>
#include <cstdlib>

#include "core/error.h"
#include "models/backbones/efficientformer_config.h"
#include "models/families/convert.h"
#include "models/families/registry.h"
#include "models/families/timm/timm_network.h"

namespace vitrail {
namespace {

struct EfficientFormerRow {
  std::string_view name;
  std::array<int64_t, 4> depths, embed_dims;
  int64_t num_vit;
};
constexpr EfficientFormerRow kEfficientFormerRows[] = {
    {"efficientformer_l1", {3, 2, 6, 4}, {48, 96, 224, 448}, 1},
    {"efficientformer_l3", {4, 4, 12, 6}, {64, 128, 320, 512}, 4},
    {"efficientformer_l7", {6, 6, 18, 8}, {96, 192, 384, 768}, 8},
};

constexpr FieldRule kEfficientFormerArguments[] = {
    {"depths"},
    {"embed_dims"},
    {"num_vit"},
    {"mlp_ratios"},
    {"pool_size"},
    {"layer_scale_init_value", FieldRule::kNumber},
    {"downsamples", FieldRule::kOnly, "[]"},
    {"act_layer", FieldRule::kOnly, "[]"},
    {"norm_layer_cl", FieldRule::kOnly, "[]"},
    {"global_pool", FieldRule::kOnly, R"(["avg"])"},
};

class TimmEfficientFormerFamily : public TimmNetwork {
 public:
  const char* name() const override { return "timm_efficientformer"; }
  const char* models() const override { return "timm's EfficientFormer"; }
  std::string_view network() const override { return EfficientFormerConfig::kType; }
  std::string_view mark() const override { return "stages.0.blocks.0.mlp.norm2.running_mean"; }
  // The table of each attention's indices is made of its grid.
  bool is_left_out(std::string_view tensor) const override {
    return tensor.ends_with(".num_batches_tracked") || tensor.ends_with(kIndices);
  }

  std::vector<std::string_view> model_names() const override {
    std::vector<std::string_view> names;
    for (const EfficientFormerRow& row : kEfficientFormerRows) names.push_back(row.name);
    return names;
  }
  PublishedModel published_model(std::string_view name) const override {
    const auto row = std::ranges::find(kEfficientFormerRows, name, &EfficientFormerRow::name);
    if (row == std::ranges::end(kEfficientFormerRows)) return TimmNetwork::published_model(name);
    EfficientFormerConfig c;
    c.architecture = name;
    c.depths.assign(row->depths.begin(), row->depths.end());
    c.embed_dims.assign(row->embed_dims.begin(), row->embed_dims.end());
    c.num_vit = row->num_vit;
    return {c, timm_preprocess({.crop_permille = 950})};
  }

  std::span<const FieldRule> arguments() const override { return kEfficientFormerArguments; }
  void apply_arguments(NetworkConfig& network, const TimmArguments& arguments) const override {
    EfficientFormerConfig& c = *network.get_if<EfficientFormerConfig>();
    arguments.read("depths", c.depths);
    arguments.read("embed_dims", c.embed_dims);
    arguments.read("num_vit", c.num_vit);
    arguments.read("mlp_ratios", c.mlp_ratio);
    arguments.read("pool_size", c.pool_size);
  }
  nlohmann::json arguments_for(const NetworkConfig& network) const override {
    const EfficientFormerConfig& c = *network.get_if<EfficientFormerConfig>();
    return {{"depths", c.depths},
            {"embed_dims", c.embed_dims},
            {"num_vit", c.num_vit},
            {"mlp_ratios", c.mlp_ratio},
            {"pool_size", c.pool_size}};
  }
  const char* first_convolution() const override { return "stem.conv1"; }
  void check_expressible(const NetworkConfig& network) const override {
    const EfficientFormerConfig &c = *network.get_if<EfficientFormerConfig>(), own;
    check(c.activation == own.activation, "convert",
          "timm_efficientformer models cannot express another activation than GELU");
    check(c.num_heads == own.num_heads && c.key_dim == own.key_dim &&
              c.value_dim == own.value_dim && c.attention_grid == own.attention_grid,
          "convert",
          "timm_efficientformer models cannot express other attention than {} heads of {} and {} "
          "over a grid of {}x{}",
          own.num_heads, own.key_dim, own.value_dim, own.attention_grid, own.attention_grid);
  }
  void complete(Adapted& model) const override {
    const EfficientFormerConfig& c = *model.config.get_if<EfficientFormerConfig>();
    const int64_t side = c.attention_grid, tokens = side * side;
    const int64_t stage = static_cast<int64_t>(c.depths.size()) - 1, depth = c.depths.back();
    for (int64_t j = depth - c.num_vit; j < depth; ++j) {
      Tensor indices = Tensor::empty({tokens, tokens}, DType::i64);
      auto* entry = indices.data<int64_t>();
      for (int64_t q = 0; q < tokens; ++q)
        for (int64_t k = 0; k < tokens; ++k)
          *entry++ = std::abs(q / side - k / side) * side + std::abs(q % side - k % side);
      model.tensors[fmt::format("stages.{}.blocks.{}.token_mixer{}", stage, j + 1, kIndices)] =
          std::move(indices);
    }
  }

 private:
  static constexpr std::string_view kIndices = ".attention_bias_idxs";
};

}  // namespace

const Family* timm_efficientformer_family() {
  static const TimmEfficientFormerFamily family;
  return &family;
}

}  // namespace vitrail
