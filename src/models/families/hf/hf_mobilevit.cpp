// transformers' MobileViT, version 1 ("mobilevit") and version 2 ("mobilevitv2").
#include <algorithm>
#include <charconv>
#include <cmath>
#include <tuple>

#include "core/error.h"
#include "formats/json.h"
#include "models/backbones/mobilevit_config.h"
#include "models/families/convert.h"
#include "models/families/hf/hf_network.h"
#include "models/families/hf/hf_pyramid.h"
#include "models/families/reading/sides.h"
#include "models/families/recognise.h"
#include "models/families/registry.h"

namespace vitrail {
namespace {

// By the names of mobilevit_numbered(): "plain.STAGE.LAYER" for the inverted residuals of the first
// two stages, "down.STAGE" for that of the others, "block.STAGE" for what follows it.
constexpr NameRow kHfMobileVitRows[] = {
    {"stem.conv", {"@conv_stem.convolution"}},
    {"stem.bn", {"@conv_stem.normalization"}},
    {"plain.#.#.conv1_1x1.conv", {"@encoder.layer.#.layer.#.expand_1x1.convolution"}},
    {"plain.#.#.conv1_1x1.bn", {"@encoder.layer.#.layer.#.expand_1x1.normalization"}},
    {"plain.#.#.conv2_kxk.conv", {"@encoder.layer.#.layer.#.conv_3x3.convolution"}},
    {"plain.#.#.conv2_kxk.bn", {"@encoder.layer.#.layer.#.conv_3x3.normalization"}},
    {"plain.#.#.conv3_1x1.conv", {"@encoder.layer.#.layer.#.reduce_1x1.convolution"}},
    {"plain.#.#.conv3_1x1.bn", {"@encoder.layer.#.layer.#.reduce_1x1.normalization"}},
    {"down.#.conv1_1x1.conv", {"@encoder.layer.#.downsampling_layer.expand_1x1.convolution"}},
    {"down.#.conv1_1x1.bn", {"@encoder.layer.#.downsampling_layer.expand_1x1.normalization"}},
    {"down.#.conv2_kxk.conv", {"@encoder.layer.#.downsampling_layer.conv_3x3.convolution"}},
    {"down.#.conv2_kxk.bn", {"@encoder.layer.#.downsampling_layer.conv_3x3.normalization"}},
    {"down.#.conv3_1x1.conv", {"@encoder.layer.#.downsampling_layer.reduce_1x1.convolution"}},
    {"down.#.conv3_1x1.bn", {"@encoder.layer.#.downsampling_layer.reduce_1x1.normalization"}},
    {"block.#.conv_kxk.conv", {"@encoder.layer.#.conv_kxk.convolution"}},
    {"block.#.conv_kxk.bn", {"@encoder.layer.#.conv_kxk.normalization"}},
    {"block.#.conv_1x1", {"@encoder.layer.#.conv_1x1.convolution"}},
    {"block.#.transformer.#.norm1", {"@encoder.layer.#.transformer.layer.#.layernorm_before"}},
    {"block.#.transformer.#.norm2", {"@encoder.layer.#.transformer.layer.#.layernorm_after"}},
    {"block.#.norm", {"@encoder.layer.#.layernorm"}},
    {"block.#.conv_proj.conv", {"@encoder.layer.#.conv_projection.convolution"}},
    {"block.#.conv_proj.bn", {"@encoder.layer.#.conv_projection.normalization"}},
    {"head", {"classifier"}},
};
constexpr NameRow kHfMobileVitV1Rows[] = {
    {"block.#.transformer.#.attn.qkv",
     {"@encoder.layer.#.transformer.layer.#.attention.attention.query+"
      "@encoder.layer.#.transformer.layer.#.attention.attention.key+"
      "@encoder.layer.#.transformer.layer.#.attention.attention.value"}},
    {"block.#.transformer.#.attn.proj",
     {"@encoder.layer.#.transformer.layer.#.attention.output.dense"}},
    {"block.#.transformer.#.mlp.fc1", {"@encoder.layer.#.transformer.layer.#.intermediate.dense"}},
    {"block.#.transformer.#.mlp.fc2", {"@encoder.layer.#.transformer.layer.#.output.dense"}},
    {"block.#.conv_fusion.conv", {"@encoder.layer.#.fusion.convolution"}},
    {"block.#.conv_fusion.bn", {"@encoder.layer.#.fusion.normalization"}},
    {"final_conv.conv", {"@conv_1x1_exp.convolution"}},
    {"final_conv.bn", {"@conv_1x1_exp.normalization"}},
};
constexpr NameRow kHfMobileVitV2Rows[] = {
    {"block.#.transformer.#.attn.qkv_proj",
     {"@encoder.layer.#.transformer.layer.#.attention.qkv_proj.convolution"}},
    {"block.#.transformer.#.attn.out_proj",
     {"@encoder.layer.#.transformer.layer.#.attention.out_proj.convolution"}},
    {"block.#.transformer.#.mlp.fc1",
     {"@encoder.layer.#.transformer.layer.#.ffn.conv1.convolution"}},
    {"block.#.transformer.#.mlp.fc2",
     {"@encoder.layer.#.transformer.layer.#.ffn.conv2.convolution"}},
};

// Stages that have no transformer, and stages in all, in both versions.
constexpr int64_t kPlainStages = 2, kStages = 5;

// "stages.2.1.norm.weight" under its name of the tables.
std::string mobilevit_numbered(std::string_view canonical) {
  constexpr std::string_view kPrefix = "stages.";
  if (!canonical.starts_with(kPrefix)) return std::string(canonical);
  std::string_view rest = canonical.substr(kPrefix.size());
  const auto number = [&rest] {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
    const auto length = static_cast<size_t>(end - rest.data()) + 1;
    rest.remove_prefix(std::min(length, rest.size()));
    return value;
  };
  const int64_t stage = number(), layer = number();
  if (stage < kPlainStages) return fmt::format("plain.{}.{}.{}", stage, layer, rest);
  return fmt::format("{}.{}.{}", layer == 0 ? "down" : "block", stage, rest);
}

constexpr FieldRule kHfMobileVitCommon[] = {
    {"num_channels"},
    {"image_size"},
    {"patch_size"},
    {"expand_ratio"},
    {"hidden_act"},
    {"conv_kernel_size"},
    {"layer_norm_eps"},
    {"output_stride", FieldRule::kOnly, "[32]"},
    {"initializer_range", FieldRule::kNumber},
    {"classifier_dropout_prob", FieldRule::kNumber},
    // Of the segmentation's head.
    {"aspp_out_channels", FieldRule::kNumber},
    {"aspp_dropout_prob", FieldRule::kNumber},
    {"semantic_loss_ignore_index", FieldRule::kNumber},
    {"atrous_rates", FieldRule::kIdle},
};

// What both versions say.
void read_common(const nlohmann::json& config, const std::string& place, MobileVitConfig& c) {
  c.image_height = c.image_width = 256;
  if (config.contains("image_size"))
    std::tie(c.image_height, c.image_width) =
        sides_from_json(config, "image_size", place, "transformers");
  read_hf_field(config, "num_channels", place, &c.in_channels);
  if (config.contains("patch_size")) {
    const auto [height, width] = sides_from_json(config, "patch_size", place, "transformers");
    check(height == width, "transformers",
          "{}: patch_size is {}x{}, and Vitrail implements square patches alone", place, height,
          width);
    c.patch_size = height;
  }
  read_hf_field(config, "expand_ratio", place, &c.expand_ratio);
  read_hf_field(config, "conv_kernel_size", place, &c.kernel_size);
  read_hf_field(config, "layer_norm_eps", place, &c.layer_norm_epsilon);
  std::string activation = "silu";
  read_hf_field(config, "hidden_act", place, &activation);
  c.activation = hf_activation(activation, place);
}

nlohmann::json common_fields(const MobileVitConfig& c, const char* family) {
  nlohmann::json size = c.image_height;
  if (c.image_height != c.image_width) size = {c.image_height, c.image_width};
  return {{"num_channels", c.in_channels},
          {"image_size", size},
          {"patch_size", c.patch_size},
          {"expand_ratio", c.expand_ratio},
          {"conv_kernel_size", c.kernel_size},
          {"layer_norm_eps", c.layer_norm_epsilon},
          {"hidden_act", hf_activation_name(c.activation, family)},
          {"output_stride", 32}};
}

// As transformers rounds a width (make_divisible).
int64_t divisible_width(double value, int64_t divisor, int64_t least) {
  const auto step = static_cast<double>(divisor);
  const int64_t rounded =
      std::max(least, static_cast<int64_t>(value + step / 2) / divisor * divisor);
  return static_cast<double>(rounded) < 0.9 * value ? rounded + divisor : rounded;
}

class HfMobileVitBase : public HfNetwork {
 public:
  std::string_view network() const override { return MobileVitConfig::kType; }
  bool is_left_out(std::string_view tensor) const override {
    return tensor.ends_with(".num_batches_tracked");
  }
  std::string numbered(const Spelling&, std::string_view canonical) const override {
    return mobilevit_numbered(canonical);
  }
  Spelling spelling_for(const NetworkConfig& config) const override {
    Spelling s;
    if (config.class_answer().classes > 0) s.prefix = std::string(hf_models().front().type) + ".";
    return s;
  }

 protected:
  void require(bool holds, const char* what) const {
    check(holds, "convert", "{} models cannot express {}", name(), what);
  }
};

class HfMobileVitFamily : public HfMobileVitBase {
 public:
  const char* name() const override { return "hf_mobilevit"; }
  const char* models() const override { return "transformers' MobileViT"; }
  std::string_view mark() const override { return "conv_1x1_exp.convolution.weight"; }
  bool suits(const NetworkConfig& config) const override {
    const auto* c = config.get_if<MobileVitConfig>();
    return c != nullptr && !c->separable;
  }
  std::span<const HfModel> hf_models() const override {
    static constexpr HfModel kModels[] = {{"mobilevit", "MobileViT"}};
    return kModels;
  }
  std::span<const std::string_view> architectures() const override {
    static constexpr std::string_view kNames[] = {"MobileViTModel",
                                                  "MobileViTForImageClassification"};
    return kNames;
  }
  NameTables tables(const Spelling&) const override {
    return {{kHfMobileVitRows, kHfMobileVitV1Rows}, 0, false};
  }

  std::span<const FieldRule> config_fields() const override {
    static const std::vector<FieldRule> kFields = [] {
      std::vector<FieldRule> fields(std::begin(kHfMobileVitCommon), std::end(kHfMobileVitCommon));
      for (const char* read :
           {"hidden_sizes", "neck_hidden_sizes", "num_attention_heads", "mlp_ratio", "qkv_bias"})
        fields.push_back({read});
      for (const char* rate : {"hidden_dropout_prob", "attention_probs_dropout_prob"})
        fields.push_back({rate, FieldRule::kNumber});
      return fields;
    }();
    return kFields;
  }
  NetworkConfig from_config(const nlohmann::json& config, const std::string& place) const override {
    MobileVitConfig c;
    read_common(config, place, c);
    std::vector<int64_t> widths{16, 32, 64, 96, 128, 160, 640};
    read_hf_field(config, "neck_hidden_sizes", place, &widths);
    read_hf_field(config, "hidden_sizes", place, &c.transformer_dims);
    check(widths.size() == kStages + 2 && c.transformer_dims.size() == kStages - kPlainStages,
          "transformers", "{}: neck_hidden_sizes names 7 widths and hidden_sizes 3, not {} and {}",
          place, widths.size(), c.transformer_dims.size());
    c.stem_channels = widths.front();
    c.channels.assign(widths.begin() + 1, widths.end() - 1);
    c.final_channels = widths.back();
    read_hf_field(config, "num_attention_heads", place, &c.num_heads);
    read_hf_field(config, "qkv_bias", place, &c.qkv_bias);
    double ratio = 2;
    read_hf_field(config, "mlp_ratio", place, &ratio);
    for (size_t i = 0; i < c.transformer_dims.size(); ++i)
      c.mlp_hidden_dims[i] =
          static_cast<int64_t>(static_cast<double>(c.transformer_dims[i]) * ratio);
    c.validate();
    return c;
  }
  nlohmann::json to_config(const NetworkConfig& config) const override {
    const MobileVitConfig& c = *config.get_if<MobileVitConfig>();
    nlohmann::json out = common_fields(c, name());
    std::vector<int64_t> widths{c.stem_channels};
    widths.insert(widths.end(), c.channels.begin(), c.channels.end());
    widths.push_back(c.final_channels);
    out["neck_hidden_sizes"] = widths;
    out["hidden_sizes"] = c.transformer_dims;
    out["num_attention_heads"] = c.num_heads;
    out["qkv_bias"] = c.qkv_bias;
    out["mlp_ratio"] = ratio_of(c);
    return out;
  }
  void check_expressible(const NetworkConfig& config) const override {
    const MobileVitConfig& c = *config.get_if<MobileVitConfig>();
    require(!c.separable, "version 2");
    require(c.depths == std::vector<int64_t>{1, 3, 1, 1, 1} &&
                c.transformer_depths == std::vector<int64_t>{2, 4, 3},
            "other depths than 1, 3, 1, 1 and 1, and 2, 4 and 3 of the transformers");
    require(c.final_channels > 0, "a model without its last convolution");
    for (size_t i = 0; i < c.transformer_dims.size(); ++i)
      require(static_cast<int64_t>(static_cast<double>(c.transformer_dims[i]) * ratio_of(c)) ==
                  c.mlp_hidden_dims[i],
              "MLPs of different ratios");
  }

 private:
  static double ratio_of(const MobileVitConfig& c) {
    return static_cast<double>(c.mlp_hidden_dims.front()) /
           static_cast<double>(c.transformer_dims.front());
  }
};

class HfMobileVitV2Family : public HfMobileVitBase {
 public:
  const char* name() const override { return "hf_mobilevitv2"; }
  const char* models() const override { return "transformers' MobileViTV2"; }
  std::string_view mark() const override {
    return "encoder.layer.2.transformer.layer.0.attention.qkv_proj.convolution.weight";
  }
  bool suits(const NetworkConfig& config) const override {
    const auto* c = config.get_if<MobileVitConfig>();
    return c != nullptr && c->separable;
  }
  std::span<const HfModel> hf_models() const override {
    static constexpr HfModel kModels[] = {{"mobilevitv2", "MobileViTV2"}};
    return kModels;
  }
  std::span<const std::string_view> architectures() const override {
    static constexpr std::string_view kNames[] = {"MobileViTV2Model",
                                                  "MobileViTV2ForImageClassification"};
    return kNames;
  }
  NameTables tables(const Spelling&) const override {
    return {{kHfMobileVitRows, kHfMobileVitV2Rows}, 0, false};
  }

  std::span<const FieldRule> config_fields() const override {
    static const std::vector<FieldRule> kFields = [] {
      std::vector<FieldRule> fields(std::begin(kHfMobileVitCommon), std::end(kHfMobileVitCommon));
      for (const char* read :
           {"n_attn_blocks", "base_attn_unit_dims", "width_multiplier", "ffn_multiplier"})
        fields.push_back({read});
      for (const char* rate : {"attn_dropout", "ffn_dropout"})
        fields.push_back({rate, FieldRule::kNumber});
      return fields;
    }();
    return kFields;
  }
  NetworkConfig from_config(const nlohmann::json& config, const std::string& place) const override {
    MobileVitConfig c;
    c.expand_ratio = 2;
    read_common(config, place, c);
    c.separable = true;
    c.patch_fit = PatchFit::cut;
    c.depths = {1, 2, 1, 1, 1};
    c.final_channels = 0;
    double width = 1;
    read_hf_field(config, "width_multiplier", place, &width);
    check(width > 0 && width <= 64, "transformers", "{}: width_multiplier is {}", place, width);
    set_widths(c, width);
    std::vector<int64_t> units{128, 192, 256};
    read_hf_field(config, "base_attn_unit_dims", place, &units);
    read_hf_field(config, "n_attn_blocks", place, &c.transformer_depths);
    int64_t multiplier = 2;
    read_hf_field(config, "ffn_multiplier", place, &multiplier);
    check(units.size() == 3 && c.transformer_depths.size() == 3, "transformers",
          "{}: base_attn_unit_dims and n_attn_blocks name 3 stages, not {} and {}", place,
          units.size(), c.transformer_depths.size());
    for (size_t i = 0; i < units.size(); ++i) {
      check_field("base_attn_unit_dims", units[i], 1, 65536);
      c.transformer_dims[i] = divisible_width(static_cast<double>(units[i]) * width, 8, 8);
    }
    check_field("ffn_multiplier", multiplier, 1, 64);
    for (size_t i = 0; i < units.size(); ++i)
      c.mlp_hidden_dims[i] = hidden_of(multiplier, c.transformer_dims[i]);
    c.validate();
    return c;
  }
  nlohmann::json to_config(const NetworkConfig& config) const override {
    const MobileVitConfig& c = *config.get_if<MobileVitConfig>();
    nlohmann::json out = common_fields(c, name());
    const double width = width_of(c);
    out["width_multiplier"] = width;
    nlohmann::json units = nlohmann::json::array();
    for (const int64_t dim : c.transformer_dims)
      units.push_back(static_cast<int64_t>(std::llround(static_cast<double>(dim) / width)));
    out["base_attn_unit_dims"] = units;
    out["n_attn_blocks"] = c.transformer_depths;
    out["ffn_multiplier"] = multiplier_of(c);
    return out;
  }
  void check_expressible(const NetworkConfig& config) const override {
    const MobileVitConfig& c = *config.get_if<MobileVitConfig>();
    require(c.separable, "version 1");
    require(c.depths == std::vector<int64_t>{1, 2, 1, 1, 1} && c.transformer_dims.size() == 3,
            "other depths than 1, 2, 1, 1 and 1");
    require(c.final_channels == 0, "a last convolution");
    require(c.patch_fit == PatchFit::cut || has_whole_patches(c),
            "maps that are resized to whole patches");
    const double width = width_of(c);
    MobileVitConfig widths = c;
    set_widths(widths, width);
    require(widths.stem_channels == c.stem_channels && widths.channels == c.channels,
            "widths that are no multiple of its own");
    for (size_t i = 0; i < c.transformer_dims.size(); ++i) {
      const double unit = std::llround(static_cast<double>(c.transformer_dims[i]) / width);
      require(divisible_width(unit * width, 8, 8) == c.transformer_dims[i],
              "transformers whose widths are no multiples of 8");
      require(hidden_of(multiplier_of(c), c.transformer_dims[i]) == c.mlp_hidden_dims[i],
              "MLPs of different ratios");
    }
  }
  void complete(Adapted& model) const override {
    if (model.config.get_if<MobileVitConfig>()->patch_fit == PatchFit::resized)
      model.folds.emplace_back(
          "pictures of another size, whose maps are no whole patches, are cut by transformers");
  }

 private:
  static void set_widths(MobileVitConfig& c, double width) {
    c.stem_channels = divisible_width(std::clamp(32 * width, 16.0, 64.0), 8, 16);
    c.channels = {divisible_width(64 * width, 16, 16), divisible_width(128 * width, 8, 8),
                  divisible_width(256 * width, 8, 8), divisible_width(384 * width, 8, 8),
                  divisible_width(512 * width, 8, 8)};
  }
  static double width_of(const MobileVitConfig& c) {
    return static_cast<double>(c.channels.back()) / 512;
  }
  // Hidden widths are rounded down to multiples of 16, which wide layers feel least.
  static int64_t multiplier_of(const MobileVitConfig& c) {
    int64_t multiplier = 1;
    for (size_t i = 0; i < c.transformer_dims.size(); ++i)
      multiplier = std::max(
          multiplier, (c.mlp_hidden_dims[i] + c.transformer_dims[i] - 1) / c.transformer_dims[i]);
    return multiplier;
  }
  static int64_t hidden_of(int64_t multiplier, int64_t dim) { return multiplier * dim / 16 * 16; }
};

}  // namespace

const Family* hf_mobilevit_family() {
  static const HfMobileVitFamily family;
  return &family;
}

const Family* hf_mobilevitv2_family() {
  static const HfMobileVitV2Family family;
  return &family;
}

}  // namespace vitrail
