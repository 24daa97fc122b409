// timm's MobileViT, versions 1 and 2: definitions of its ByobNet, whose blocks model_args cannot
// say.
#include <algorithm>
#include <array>

#include "core/error.h"
#include "models/backbones/mobilevit_config.h"
#include "models/families/convert.h"
#include "models/families/registry.h"
#include "models/families/timm/timm_network.h"

namespace vitrail {
namespace {

struct MobileVitRow {
  std::string_view name;
  std::array<int64_t, 5> channels;
  std::array<int64_t, 3> transformer_dims;
  double expand_ratio;
  int64_t final_channels;
};
constexpr MobileVitRow kMobileVitRows[] = {
    {"mobilevit_xxs", {16, 24, 48, 64, 80}, {64, 80, 96}, 2, 320},
    {"mobilevit_xs", {32, 48, 64, 80, 96}, {96, 120, 144}, 4, 384},
    {"mobilevit_s", {32, 64, 96, 128, 160}, {144, 192, 240}, 4, 640},
};
// Of version 2: hundredths of the widths of the middle one.
struct MobileVitV2Row {
  std::string_view name;
  int64_t percent;
};
constexpr MobileVitV2Row kMobileVitV2Rows[] = {
    {"mobilevitv2_050", 50},  {"mobilevitv2_075", 75},  {"mobilevitv2_100", 100},
    {"mobilevitv2_125", 125}, {"mobilevitv2_150", 150}, {"mobilevitv2_175", 175},
    {"mobilevitv2_200", 200},
};

constexpr FieldRule kMobileVitArguments[] = {
    {"global_pool", FieldRule::kOnly, R"(["avg"])"},
    {"output_stride", FieldRule::kOnly, "[32]"},
    {"drop_block_size", FieldRule::kNumber},
    {"zero_init_last", FieldRule::kFlag},
};

MobileVitConfig mobilevit_definition(const MobileVitRow& row) {
  MobileVitConfig c;
  c.channels.assign(row.channels.begin(), row.channels.end());
  c.transformer_dims.assign(row.transformer_dims.begin(), row.transformer_dims.end());
  for (size_t i = 0; i < c.transformer_dims.size(); ++i)
    c.mlp_hidden_dims[i] = 2 * c.transformer_dims[i];
  c.expand_ratio = row.expand_ratio;
  c.final_channels = row.final_channels;
  return c;
}

MobileVitConfig mobilevit_v2_definition(const MobileVitV2Row& row) {
  const auto scaled = [&](int64_t width) { return width * row.percent / 100; };
  MobileVitConfig c;
  c.separable = true;
  c.patch_fit = PatchFit::resized;
  c.stem_channels = scaled(32);
  c.channels = {scaled(64), scaled(128), scaled(256), scaled(384), scaled(512)};
  c.depths = {1, 2, 1, 1, 1};
  c.expand_ratio = 2;
  for (size_t i = 0; i < c.transformer_dims.size(); ++i) {
    c.transformer_dims[i] = c.channels[i + 2] / 2;
    c.mlp_hidden_dims[i] = 2 * c.transformer_dims[i];
  }
  c.final_channels = 0;
  return c;
}

// What the definition does not say, made equal.
MobileVitConfig as_defined(const MobileVitConfig& c, MobileVitConfig definition) {
  static_cast<PictureNetworkConfig&>(definition) = c;
  definition.dropout = c.dropout;
  definition.mlp_dropout = c.mlp_dropout;
  definition.attention_dropout = c.attention_dropout;
  if (c.separable) {
    definition.num_heads = c.num_heads;
    definition.qkv_bias = c.qkv_bias;
  }
  // Pictures whose maps are whole patches never meet the rule for others.
  if (definition.separable && has_whole_patches(c)) definition.patch_fit = c.patch_fit;
  return definition;
}

class TimmMobileVitFamily : public TimmNetwork {
 public:
  const char* name() const override { return "timm_mobilevit"; }
  const char* models() const override { return "timm's MobileViT"; }
  std::string_view network() const override { return MobileVitConfig::kType; }
  std::string_view mark() const override { return "stages.2.1.conv_1x1.weight"; }
  NameTables tables(const Spelling&) const override {
    static constexpr NameRow kRows[] = {{"head", {"@head.fc"}}};
    return {{kRows}, 0, true};
  }
  bool is_left_out(std::string_view tensor) const override {
    return tensor.ends_with(".num_batches_tracked");
  }

  std::vector<std::string_view> model_names() const override {
    std::vector<std::string_view> names;
    for (const MobileVitRow& row : kMobileVitRows) names.push_back(row.name);
    for (const MobileVitV2Row& row : kMobileVitV2Rows) names.push_back(row.name);
    return names;
  }
  PublishedModel published_model(std::string_view name) const override {
    const bool second = name.starts_with("mobilevitv2");
    MobileVitConfig c = definition(name);
    c.architecture = name;
    c.image_height = c.image_width = 256;
    return {c, timm_preprocess({.side = 256,
                                .crop_permille = second ? 888 : 900,
                                .moments = TimmPreprocess::unit})};
  }

  std::span<const FieldRule> arguments() const override { return kMobileVitArguments; }
  void apply_arguments(NetworkConfig&, const TimmArguments&) const override {}
  nlohmann::json arguments_for(const NetworkConfig&) const override {
    return nlohmann::json::object();
  }
  std::string_view written_architecture(const NetworkConfig& network) const override {
    const std::string_view same = equal_definition(*network.get_if<MobileVitConfig>());
    return same.empty() ? model_names().front() : same;
  }
  const char* first_convolution() const override { return "stem.conv"; }
  void check_expressible(const NetworkConfig& network) const override {
    check(!equal_definition(*network.get_if<MobileVitConfig>()).empty(), "convert",
          "timm_mobilevit models cannot express these widths, depths or options: none of timm's "
          "definitions has them");
  }
  void complete(Adapted& model) const override {
    if (model.config.get_if<MobileVitConfig>()->patch_fit == PatchFit::cut)
      model.folds.emplace_back(
          "pictures of another size, whose maps are no whole patches, are resized by timm");
  }

 private:
  static MobileVitConfig definition(std::string_view name) {
    for (const MobileVitRow& row : kMobileVitRows)
      if (name == row.name) return mobilevit_definition(row);
    for (const MobileVitV2Row& row : kMobileVitV2Rows)
      if (name == row.name) return mobilevit_v2_definition(row);
    fail("family", "timm_mobilevit has no published model '{}'", name);
  }
  // Empty: none.
  std::string_view equal_definition(const MobileVitConfig& config) const {
    for (const std::string_view name : model_names())
      if (as_defined(config, definition(name)) == config) return name;
    return "";
  }
};

}  // namespace

const Family* timm_mobilevit_family() {
  static const TimmMobileVitFamily family;
  return &family;
}

}  // namespace vitrail
