// timm's PyramidVisionTransformerV2, whose names are the canonical ones.
#include <array>

#include "core/error.h"
#include "models/backbones/pvt_v2.h"
#include "models/families/registry.h"
#include "models/families/timm/timm_network.h"

namespace vitrail {
namespace {

struct PvtV2Row {
  std::string_view name;
  std::array<int64_t, 4> depths;
  std::array<int64_t, 4> embed_dims = {64, 128, 320, 512};
  std::array<int64_t, 4> mlp_ratios = {8, 8, 4, 4};
  bool linear = false;
};

constexpr std::array kPvtV2Rows = {
    PvtV2Row{"pvt_v2_b0", {2, 2, 2, 2}, {32, 64, 160, 256}},
    PvtV2Row{"pvt_v2_b1", {2, 2, 2, 2}},
    PvtV2Row{"pvt_v2_b2", {3, 4, 6, 3}},
    PvtV2Row{"pvt_v2_b3", {3, 4, 18, 3}},
    PvtV2Row{"pvt_v2_b4", {3, 8, 27, 3}},
    PvtV2Row{"pvt_v2_b5", {3, 6, 40, 3}, {64, 128, 320, 512}, {4, 4, 4, 4}},
    PvtV2Row{.name = "pvt_v2_b2_li", .depths = {3, 4, 6, 3}, .linear = true},
};

constexpr FieldRule kPvtV2Arguments[] = {
    {"depths"},
    {"embed_dims"},
    {"num_heads"},
    {"sr_ratios"},
    {"mlp_ratios"},
    {"qkv_bias"},
    {"linear"},
    {"img_size", FieldRule::kIdle},
    {"global_pool", FieldRule::kOnly, R"(["avg"])"},
};

// timm computes int(dim * ratio) for each stage.
void set_hidden(PvtV2Config& config, const std::vector<double>& ratios) {
  config.mlp_hidden_dims.clear();
  for (size_t i = 0; i < config.embed_dims.size() && i < ratios.size(); ++i)
    config.mlp_hidden_dims.push_back(
        static_cast<int64_t>(static_cast<double>(config.embed_dims[i]) * ratios[i]));
}

class TimmPvtV2Family : public TimmNetwork {
 public:
  const char* name() const override { return "timm_pvt_v2"; }
  const char* models() const override { return "timm's PVT v2"; }
  std::string_view network() const override { return PvtV2Config::kType; }
  std::string_view mark() const override { return "stages.0.blocks.0.mlp.dwconv.weight"; }

  std::vector<std::string_view> model_names() const override {
    std::vector<std::string_view> names;
    for (const PvtV2Row& row : kPvtV2Rows) names.push_back(row.name);
    return names;
  }
  PublishedModel published_model(std::string_view name) const override {
    const auto row = std::ranges::find(kPvtV2Rows, name, &PvtV2Row::name);
    if (row == kPvtV2Rows.end()) return TimmNetwork::published_model(name);
    PvtV2Config config;
    config.architecture = name;
    config.depths.assign(row->depths.begin(), row->depths.end());
    config.embed_dims.assign(row->embed_dims.begin(), row->embed_dims.end());
    set_hidden(config, {row->mlp_ratios.begin(), row->mlp_ratios.end()});
    config.linear_attention = row->linear;
    return {config, timm_preprocess({})};
  }

  std::span<const FieldRule> arguments() const override { return kPvtV2Arguments; }
  void apply_arguments(NetworkConfig& network, const TimmArguments& arguments) const override {
    PvtV2Config& config = *network.get_if<PvtV2Config>();
    std::vector<double> ratios;
    for (size_t i = 0; i < config.embed_dims.size(); ++i)
      ratios.push_back(static_cast<double>(config.mlp_hidden_dims[i]) /
                       static_cast<double>(config.embed_dims[i]));
    arguments.read("depths", config.depths);
    arguments.read("embed_dims", config.embed_dims);
    arguments.read("num_heads", config.num_heads);
    arguments.read("sr_ratios", config.reductions);
    arguments.read("mlp_ratios", ratios);
    arguments.read("qkv_bias", config.qkv_bias);
    arguments.read("linear", config.linear_attention);
    set_hidden(config, ratios);
  }
  nlohmann::json arguments_for(const NetworkConfig& network) const override {
    const PvtV2Config& config = *network.get_if<PvtV2Config>();
    std::vector<double> ratios;
    for (size_t i = 0; i < config.embed_dims.size(); ++i)
      ratios.push_back(timm_ratio(config.mlp_hidden_dims[i], config.embed_dims[i]));
    return {{"depths", config.depths},
            {"embed_dims", config.embed_dims},
            {"num_heads", config.num_heads},
            {"sr_ratios", config.reductions},
            {"mlp_ratios", ratios},
            {"qkv_bias", config.qkv_bias},
            {"linear", config.linear_attention}};
  }
  void check_expressible(const NetworkConfig& network) const override {
    const PvtV2Config &config = *network.get_if<PvtV2Config>(), own;
    check(config.patch_sizes == own.patch_sizes && config.strides == own.strides, "convert",
          "timm_pvt_v2 models cannot express patches of other sizes or strides than 7 and 4, 3 and "
          "2");
    check(config.activation == own.activation, "convert",
          "timm_pvt_v2 models cannot express another activation than GELU");
    check(config.layer_norm_epsilon == own.layer_norm_epsilon &&
              config.inner_norm_epsilon == own.inner_norm_epsilon,
          "convert",
          "timm_pvt_v2 models cannot express an epsilon of {} in blocks and {} elsewhere",
          config.layer_norm_epsilon, config.inner_norm_epsilon);
  }
};

}  // namespace

const Family* timm_pvt_v2_family() {
  static const TimmPvtV2Family family;
  return &family;
}

}  // namespace vitrail
