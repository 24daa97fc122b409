// timm's SwinTransformer (with S3) and SwinTransformerV2, whose names are the canonical ones but
// for the head.
#include <algorithm>
#include <array>

#include "core/error.h"
#include "models/backbones/swin_config.h"
#include "models/families/recognise.h"
#include "models/families/registry.h"
#include "models/families/swin_rules.h"
#include "models/families/timm/timm_network.h"
#include "models/families/writing/activation_name.h"

namespace vitrail {
namespace {

struct SwinRow {
  std::string_view name;
  int64_t embed_dim;
  int64_t blocks;  // of the third stage; the others have two
  std::array<int64_t, 4> windows;
  int64_t side = 224;
  std::array<int64_t, 4> pretrained = {};
};

constexpr std::array kSwinRows = {
    SwinRow{"swin_tiny_patch4_window7_224", 96, 6, {7, 7, 7, 7}},
    SwinRow{"swin_small_patch4_window7_224", 96, 18, {7, 7, 7, 7}},
    SwinRow{"swin_base_patch4_window7_224", 128, 18, {7, 7, 7, 7}},
    SwinRow{"swin_base_patch4_window12_384", 128, 18, {12, 12, 12, 12}, 384},
    SwinRow{"swin_large_patch4_window7_224", 192, 18, {7, 7, 7, 7}},
    SwinRow{"swin_large_patch4_window12_384", 192, 18, {12, 12, 12, 12}, 384},
    SwinRow{"swin_s3_tiny_224", 96, 6, {7, 7, 14, 7}},
    SwinRow{"swin_s3_small_224", 96, 18, {14, 14, 14, 7}},
    SwinRow{"swin_s3_base_224", 96, 30, {7, 7, 14, 7}},
};
constexpr std::array<int64_t, 4> kTwelve = {12, 12, 12, 6};
constexpr std::array kSwinV2Rows = {
    SwinRow{"swinv2_tiny_window8_256", 96, 6, {8, 8, 8, 8}, 256},
    SwinRow{"swinv2_tiny_window16_256", 96, 6, {16, 16, 16, 16}, 256},
    SwinRow{"swinv2_small_window8_256", 96, 18, {8, 8, 8, 8}, 256},
    SwinRow{"swinv2_small_window16_256", 96, 18, {16, 16, 16, 16}, 256},
    SwinRow{"swinv2_base_window8_256", 128, 18, {8, 8, 8, 8}, 256},
    SwinRow{"swinv2_base_window16_256", 128, 18, {16, 16, 16, 16}, 256},
    SwinRow{"swinv2_base_window12_192", 128, 18, {12, 12, 12, 12}, 192},
    SwinRow{"swinv2_base_window12to16_192to256", 128, 18, {16, 16, 16, 16}, 256, kTwelve},
    SwinRow{"swinv2_base_window12to24_192to384", 128, 18, {24, 24, 24, 24}, 384, kTwelve},
    SwinRow{"swinv2_large_window12_192", 192, 18, {12, 12, 12, 12}, 192},
    SwinRow{"swinv2_large_window12to16_192to256", 192, 18, {16, 16, 16, 16}, 256, kTwelve},
    SwinRow{"swinv2_large_window12to24_192to384", 192, 18, {24, 24, 24, 24}, 384, kTwelve},
};
constexpr int64_t kHeadDim = 32;  // of every published model

constexpr NameRow kTimmSwinNames[] = {{"head", {"@head.fc"}}};

constexpr FieldRule kSwinArguments[] = {
    {"patch_size"},
    {"embed_dim"},
    {"depths"},
    {"num_heads"},
    {"window_size"},
    {"mlp_ratio"},
    {"qkv_bias"},
    {"always_partition"},
    {"strict_img_size"},
    {"dynamic_img_size"},
    {"head_dim", FieldRule::kOnly, "[]"},
    {"embed_layer", FieldRule::kOnly, "[]"},
    {"global_pool", FieldRule::kOnly, R"(["avg"])"},
    {"act_layer"},
    {"pretrained_window_sizes"},
};

constexpr std::pair<const char*, kernels::Activation> kSwinActivations[] = {
    {"gelu", kernels::Activation::gelu},
    {"gelu_tanh", kernels::Activation::gelu_tanh},
    {"quick_gelu", kernels::Activation::quick_gelu},
    {"relu", kernels::Activation::relu},
    {"silu", kernels::Activation::silu},
    {"swish", kernels::Activation::silu},
};

kernels::Activation swin_activation(const TimmArguments& arguments) {
  const std::string name = arguments.text("act_layer");
  for (const auto& [text, value] : kSwinActivations)
    if (name == text) return value;
  fail("timm", "{}: act_layer {} is not supported; gelu, gelu_tanh, quick_gelu, relu and silu are",
       arguments.place(), shown(name));
}

// One for all stages, two numbers for all, or one or two for each.
void read_windows(SwinConfig& config, const TimmArguments& arguments) {
  const size_t stages = config.stages();
  if (!arguments.has("window_size")) {
    // A definition's window is one for all where it has another number of stages.
    for (auto* list : {&config.window_heights, &config.window_widths})
      if (list->size() != stages && std::ranges::count(*list, list->front()) == std::ssize(*list))
        list->assign(stages, list->front());
    return;
  }
  const nlohmann::json& windows = arguments.value("window_size");
  const bool for_all =
      !windows.is_array() || (windows.size() == 2 && windows.front().is_number_integer());
  check(for_all || windows.size() == stages, "timm",
        "{}: window_size names {} stages and depths {}", arguments.place(), windows.size(), stages);
  config.window_heights.assign(stages, 0);
  config.window_widths.assign(stages, 0);
  for (size_t i = 0; i < stages; ++i) {
    const nlohmann::json one = {{"window_size", for_all ? windows : windows[i]}};
    TimmArguments(one, arguments.place())
        .read_sides("window_size", config.window_heights[i], config.window_widths[i]);
  }
}

void read_mlp_ratio(SwinConfig& config, const TimmArguments& arguments) {
  if (!arguments.has("mlp_ratio")) return;
  if (!arguments.value("mlp_ratio").is_array())
    return arguments.read("mlp_ratio", config.mlp_ratio);
  std::vector<double> ratios;
  arguments.read("mlp_ratio", ratios);
  check(!ratios.empty() && std::ranges::count(ratios, ratios.front()) == std::ssize(ratios), "timm",
        "{}: an mlp_ratio that differs by stage is not supported", arguments.place());
  config.mlp_ratio = ratios.front();
}

void read_patches(SwinConfig& config, const TimmArguments& arguments) {
  int64_t height = config.patch_size, width = config.patch_size;
  arguments.read_sides("patch_size", height, width);
  check(height == width, "timm", "{}: patches of {}x{} are not supported; square ones are",
        arguments.place(), height, width);
  config.patch_size = height;
}

class TimmSwinFamily : public TimmNetwork {
 public:
  explicit TimmSwinFamily(int64_t version) : version_(version) {}
  const char* name() const override { return version_ == 1 ? "timm_swin" : "timm_swin_v2"; }
  const char* models() const override {
    return version_ == 1 ? "timm's Swin and S3" : "timm's Swin v2";
  }
  std::string_view network() const override { return SwinConfig::kType; }
  std::string_view mark() const override { return swin_mark(version_); }
  bool suits(const NetworkConfig& config) const override {
    const auto* swin = config.get_if<SwinConfig>();
    return swin != nullptr && swin->version == version_;
  }
  std::optional<Claim> recognise(const FileEvidence& file) const override {
    auto claim = TimmNetwork::recognise(file);
    if (claim && !claim->by_config && has_original_names(file, claim->prefix)) return std::nullopt;
    return claim;
  }
  NameTables tables(const Spelling&) const override { return {{kTimmSwinNames}, 0, true}; }
  bool is_left_out(std::string_view tensor) const override { return is_swin_buffer(tensor); }

  std::vector<std::string_view> model_names() const override {
    std::vector<std::string_view> names;
    for (const SwinRow& row : rows()) names.push_back(row.name);
    return names;
  }
  PublishedModel published_model(std::string_view name) const override {
    const auto row = std::ranges::find(rows(), name, &SwinRow::name);
    if (row == rows().end()) return TimmNetwork::published_model(name);
    SwinConfig config;
    config.architecture = name;
    config.version = version_;
    config.image_height = config.image_width = row->side;
    config.embed_dim = row->embed_dim;
    config.depths = {2, 2, row->blocks, 2};
    config.num_heads.clear();
    for (size_t i = 0; i < 4; ++i) config.num_heads.push_back(config.width(i) / kHeadDim);
    config.window_heights.assign(row->windows.begin(), row->windows.end());
    config.window_widths = config.window_heights;
    config.pretrained_windows.assign(row->pretrained.begin(), row->pretrained.end());
    return {config, timm_preprocess({.side = static_cast<int>(row->side),
                                     .crop_permille = row->side == 384 ? 1000 : 900})};
  }

  std::span<const FieldRule> arguments() const override {
    // Version 1 has neither of the last two.
    const std::span<const FieldRule> all = kSwinArguments;
    return version_ == 1 ? all.first(all.size() - 2) : all;
  }
  void apply_arguments(NetworkConfig& network, const TimmArguments& arguments) const override {
    SwinConfig& config = *network.get_if<SwinConfig>();
    read_patches(config, arguments);
    arguments.read("embed_dim", config.embed_dim);
    arguments.read("depths", config.depths);
    arguments.read("num_heads", config.num_heads);
    arguments.read("qkv_bias", config.qkv_bias);
    arguments.read("always_partition", config.always_partition);
    read_windows(config, arguments);
    read_mlp_ratio(config, arguments);
    bool strict = true, dynamic = false;
    arguments.read("strict_img_size", strict);
    arguments.read("dynamic_img_size", dynamic);
    config.window_rule = strict && !dynamic ? WindowRule::timm : WindowRule::timm_dynamic;
    arguments.read("pretrained_window_sizes", config.pretrained_windows);
    config.pretrained_windows.resize(config.stages());  // timm's default has four
    if (arguments.has("act_layer")) config.activation = swin_activation(arguments);
  }
  void make_for(NetworkConfig& network, int64_t height, int64_t width) const override {
    network.set_pictures({network.pictures().channels, height, width});
  }
  nlohmann::json arguments_for(const NetworkConfig& network) const override {
    const SwinConfig& config = *network.get_if<SwinConfig>();
    nlohmann::json windows = nlohmann::json::array();
    for (size_t i = 0; i < config.stages(); ++i)
      windows.push_back({config.window_heights[i], config.window_widths[i]});
    nlohmann::json arguments = {{"img_size", {config.image_height, config.image_width}},
                                {"patch_size", config.patch_size},
                                {"embed_dim", config.embed_dim},
                                {"depths", config.depths},
                                {"num_heads", config.num_heads},
                                {"window_size", std::move(windows)},
                                {"always_partition", config.always_partition},
                                {"strict_img_size", config.window_rule != WindowRule::timm_dynamic},
                                {"mlp_ratio", config.mlp_ratio},
                                {"qkv_bias", config.qkv_bias}};
    if (version_ == 1) return arguments;
    arguments["pretrained_window_sizes"] = config.pretrained_windows;
    arguments["act_layer"] = activation_name(kSwinActivations, config.activation, name());
    return arguments;
  }
  void check_expressible(const NetworkConfig& network) const override {
    const SwinConfig& config = *network.get_if<SwinConfig>();
    check_swin_version(name(), config, version_);
    check(config.layer_norm_epsilon == 1e-5, "convert",
          "{} models cannot express a layer_norm_epsilon of {}; theirs is 1e-5", name(),
          config.layer_norm_epsilon);
    check(version_ == 2 || config.activation == kernels::Activation::gelu, "convert",
          "{} models cannot express another activation than GELU", name());
    check_windows_fit(name(), config, WindowRule::timm);
  }

 private:
  std::span<const SwinRow> rows() const {
    return version_ == 1 ? std::span<const SwinRow>(kSwinRows)
                         : std::span<const SwinRow>(kSwinV2Rows);
  }
  int64_t version_;
};

}  // namespace

const Family* timm_swin_family() {
  static const TimmSwinFamily family(1);
  return &family;
}

const Family* timm_swin_v2_family() {
  static const TimmSwinFamily family(2);
  return &family;
}

}  // namespace vitrail
