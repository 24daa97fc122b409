// timm's LeViT: projections as matrices (levit_*) or as 1x1 convolutions (levit_conv_*).
#include <cmath>

#include "core/error.h"
#include "models/backbones/levit.h"
#include "models/families/registry.h"
#include "models/families/timm/timm_network.h"
#include "models/families/writing/activation_name.h"

namespace vitrail {
namespace {

// Sizes of one name; each is there with matrices and with convolutions.
struct LevitSizes {
  std::string_view name, convolutional_name;
  std::array<int64_t, 3> embed_dims, num_heads, depths;
  int64_t key_dim;
  bool distilled;
  Activation activation = Activation::hard_swish;
  int64_t stem_stride = 16;
};
constexpr auto kSilu = Activation::silu;
constexpr LevitSizes kLevitSizes[] = {
    {"levit_128s", "levit_conv_128s", {128, 256, 384}, {4, 6, 8}, {2, 3, 4}, 16, true},
    {"levit_128", "levit_conv_128", {128, 256, 384}, {4, 8, 12}, {4, 4, 4}, 16, true},
    {"levit_192", "levit_conv_192", {192, 288, 384}, {3, 5, 6}, {4, 4, 4}, 32, true},
    {"levit_256", "levit_conv_256", {256, 384, 512}, {4, 6, 8}, {4, 4, 4}, 32, true},
    {"levit_384", "levit_conv_384", {384, 512, 768}, {6, 9, 12}, {4, 4, 4}, 32, true},
    {"levit_384_s8",
     "levit_conv_384_s8",
     {384, 512, 768},
     {6, 9, 12},
     {4, 4, 4},
     32,
     true,
     kSilu,
     8},
    {"levit_512_s8",
     "levit_conv_512_s8",
     {512, 640, 896},
     {8, 10, 14},
     {4, 4, 4},
     64,
     false,
     kSilu,
     8},
    {"levit_512", "levit_conv_512", {512, 768, 1024}, {8, 12, 16}, {4, 4, 4}, 64, false, kSilu},
    {"levit_256d", "levit_conv_256d", {256, 384, 512}, {4, 6, 8}, {4, 8, 6}, 32, false, kSilu},
    {"levit_512d", "levit_conv_512d", {512, 640, 768}, {8, 10, 12}, {4, 8, 6}, 64, false, kSilu},
};

constexpr FieldRule kLevitArguments[] = {
    {"embed_dim"},
    {"key_dim"},
    {"depth"},
    {"num_heads"},
    {"attn_ratio"},
    {"mlp_ratio"},
    {"stem_type"},
    {"act_layer"},
    {"attn_act_layer"},
    {"use_conv"},
    {"distilled"},
    {"stem_backbone", FieldRule::kOnly, "[]"},
    {"stem_stride", FieldRule::kIdle},  // of a stem_backbone
    {"down_op", FieldRule::kOnly, R"(["subsample"])"},
    {"global_pool", FieldRule::kOnly, R"(["avg"])"},
};

constexpr std::pair<const char*, Activation> kLevitActivations[] = {
    {"hard_swish", Activation::hard_swish},
    {"silu", Activation::silu},
    {"swish", Activation::silu},
    {"relu", Activation::relu},
    {"gelu", Activation::gelu},
};

Activation levit_activation(const TimmArguments& arguments, const char* key) {
  const std::string name = arguments.text(key);
  for (const auto& [text, value] : kLevitActivations)
    if (name == text) return value;
  fail("timm", "{}: {} {} is not supported; hard_swish, silu, relu and gelu are", arguments.place(),
       key, shown(name));
}

// A number for each stage, from one for all or from a list.
std::vector<double> of_each_stage(const TimmArguments& arguments, const char* key,
                                  std::vector<double> otherwise) {
  if (!arguments.has(key)) return otherwise;
  if (arguments.value(key).is_array()) {
    arguments.read(key, otherwise);
    return otherwise;
  }
  double value = 0;
  arguments.read(key, value);
  return std::vector<double>(otherwise.size(), value);
}

void set_sizes(LevitConfig& c, const LevitSizes& sizes) {
  c.embed_dims.assign(sizes.embed_dims.begin(), sizes.embed_dims.end());
  c.num_heads.assign(sizes.num_heads.begin(), sizes.num_heads.end());
  c.depths.assign(sizes.depths.begin(), sizes.depths.end());
  c.key_dims.assign(3, sizes.key_dim);
  c.value_dims.assign(3, 2 * sizes.key_dim);
  c.distilled = sizes.distilled;
  c.activation = c.attention_activation = sizes.activation;
  c.stem_stride = sizes.stem_stride;
}

const LevitConfig& as_levit(const NetworkConfig& config) {
  return *config.get_if<LevitConfig>();
}

class TimmLevitFamily : public TimmNetwork {
 public:
  const char* name() const override { return "timm_levit"; }
  const char* models() const override { return "timm's LeViT"; }
  std::string_view network() const override { return LevitConfig::kType; }
  std::string_view mark() const override { return "stem.conv1.linear.weight"; }
  std::string_view head() const override { return "head.linear"; }
  bool is_left_out(std::string_view tensor) const override {
    return tensor.ends_with(".num_batches_tracked") || tensor.ends_with(".attention_bias_idxs");
  }

  std::vector<std::string_view> model_names() const override {
    std::vector<std::string_view> names;
    for (const LevitSizes& row : kLevitSizes) names.push_back(row.name);
    for (const LevitSizes& row : kLevitSizes) names.push_back(row.convolutional_name);
    return names;
  }
  PublishedModel published_model(std::string_view name) const override {
    LevitConfig c;
    for (const LevitSizes& row : kLevitSizes) {
      if (name != row.name && name != row.convolutional_name) continue;
      set_sizes(c, row);
      c.convolutions = name == row.convolutional_name;
    }
    c.architecture = name;
    return {c, timm_preprocess({})};
  }

  std::span<const FieldRule> arguments() const override { return kLevitArguments; }
  void apply_arguments(NetworkConfig& config, const TimmArguments& a) const override {
    LevitConfig& c = *config.get_if<LevitConfig>();
    const size_t before = c.depths.size();
    a.read("embed_dim", c.embed_dims);
    a.read("depth", c.depths);
    const size_t stages = c.depths.size();
    const auto list = [&](const char* key, const std::vector<int64_t>& published, double other) {
      std::vector<double> values(published.begin(), published.end());
      values.resize(stages, values.empty() || stages == before ? other : values.back());
      return of_each_stage(a, key, values);
    };
    const auto whole = [&](const char* key, const std::vector<double>& values) {
      std::vector<int64_t> out;
      for (const double value : values) {
        check(value == std::floor(value) && std::abs(value) < 1e9, "timm",
              "{}: {} is {}, and Vitrail implements whole numbers alone", a.place(), key, value);
        out.push_back(static_cast<int64_t>(value));
      }
      return out;
    };
    c.num_heads = whole("num_heads", list("num_heads", c.num_heads, 1));
    c.mlp_ratios = whole("mlp_ratio", list("mlp_ratio", c.mlp_ratios, 2));
    int64_t key_dim = c.key_dims.front();
    const double ratio_before =
        static_cast<double>(c.value_dims.front()) / static_cast<double>(key_dim);
    a.read("key_dim", key_dim);
    c.key_dims.assign(stages, key_dim);
    c.value_dims.clear();
    for (const double ratio :
         of_each_stage(a, "attn_ratio", std::vector<double>(stages, ratio_before)))
      c.value_dims.push_back(static_cast<int64_t>(ratio * static_cast<double>(key_dim)));
    if (a.has("act_layer"))
      c.activation = c.attention_activation = levit_activation(a, "act_layer");
    if (a.has("attn_act_layer")) c.attention_activation = levit_activation(a, "attn_act_layer");
    a.read("use_conv", c.convolutions);
    a.read("distilled", c.distilled);
    if (!a.has("stem_type")) return;
    const std::string stem = a.text("stem_type");
    check(stem == "s16" || stem == "s8", "timm", "{}: stem_type {} is not s16 or s8", a.place(),
          shown(stem));
    c.stem_stride = stem == "s8" ? 8 : 16;
  }

  // Its positions are made for a size, and not stretched to another.
  void make_for(NetworkConfig& config, int64_t height, int64_t width) const override {
    config.set_pictures({config.pictures().channels, height, width});
  }

  // The factory of a definition says itself whether there are two heads and convolutions.
  std::string_view written_architecture(const NetworkConfig& config) const override {
    const LevitConfig& c = as_levit(config);
    const bool distilled = c.distilled && c.num_classes > 0;
    const LevitSizes* same = nullptr;
    for (const LevitSizes& row : kLevitSizes) {
      if (row.distilled != distilled) continue;
      const bool own = c.architecture == row.name || c.architecture == row.convolutional_name;
      if (same == nullptr || own) same = &row;
    }
    return c.convolutions ? same->convolutional_name : same->name;
  }
  nlohmann::json arguments_for(const NetworkConfig& config) const override {
    const LevitConfig& c = as_levit(config);
    nlohmann::json ratios = nlohmann::json::array();
    for (const int64_t value : c.value_dims)
      ratios.push_back(static_cast<double>(value) / static_cast<double>(c.key_dims.front()));
    return {{"img_size", sides_to_json(c.image_height, c.image_width)},
            {"embed_dim", c.embed_dims},
            {"key_dim", c.key_dims.front()},
            {"depth", c.depths},
            {"num_heads", c.num_heads},
            {"attn_ratio", ratios},
            {"mlp_ratio", c.mlp_ratios},
            {"stem_type", c.stem_stride == 8 ? "s8" : "s16"},
            {"act_layer", activation_name(kLevitActivations, c.activation, name())},
            {"attn_act_layer", activation_name(kLevitActivations, c.attention_activation, name())}};
  }
  const char* first_convolution() const override { return "stem.conv1.linear"; }
  void check_expressible(const NetworkConfig& config) const override {
    const LevitConfig& c = as_levit(config);
    for (size_t i = 0; i < c.key_dims.size(); ++i) {
      check(c.key_dims[i] == c.key_dims.front(), "convert",
            "{} models have one key_dim for all stages, and this one has {} and {}", name(),
            c.key_dims.front(), c.key_dims[i]);
      const auto key = static_cast<double>(c.key_dims[i]);
      const double ratio = static_cast<double>(c.value_dims[i]) / key;
      check(static_cast<int64_t>(ratio * key) == c.value_dims[i], "convert",
            "{} models cannot express values of {} over keys of {}", name(), c.value_dims[i],
            c.key_dims[i]);
    }
  }
};

}  // namespace

const Family* timm_levit_family() {
  static const TimmLevitFamily family;
  return &family;
}

}  // namespace vitrail
