// transformers' CvT.
#include <algorithm>

#include "core/error.h"
#include "formats/json.h"
#include "models/backbones/cvt.h"
#include "models/families/hf/hf_network.h"
#include "models/families/registry.h"

namespace vitrail {
namespace {

constexpr HfModel kHfCvt[] = {{"cvt", "Cvt"}};
constexpr std::string_view kHfCvtBase = "CvtModel";
constexpr std::string_view kHfCvtArchitectures[] = {kHfCvtBase, "CvtForImageClassification"};

constexpr NameRow kHfCvtRows[] = {
    {"stages.#.patch_embed.proj",
     {"@encoder.stages.#.embedding.convolution_embeddings.projection"}},
    {"stages.#.patch_embed.norm",
     {"@encoder.stages.#.embedding.convolution_embeddings.normalization"}},
    {"stages.#.cls_token", {"@encoder.stages.#.cls_token"}},
    {"stages.#.blocks.#.norm1", {"@encoder.stages.#.layers.#.layernorm_before"}},
    {"stages.#.blocks.#.attn.conv_proj_q.conv",
     {"@encoder.stages.#.layers.#.attention.attention.convolution_projection_query."
      "convolution_projection.convolution"}},
    {"stages.#.blocks.#.attn.conv_proj_q.bn",
     {"@encoder.stages.#.layers.#.attention.attention.convolution_projection_query."
      "convolution_projection.normalization"}},
    {"stages.#.blocks.#.attn.conv_proj_k.conv",
     {"@encoder.stages.#.layers.#.attention.attention.convolution_projection_key."
      "convolution_projection.convolution"}},
    {"stages.#.blocks.#.attn.conv_proj_k.bn",
     {"@encoder.stages.#.layers.#.attention.attention.convolution_projection_key."
      "convolution_projection.normalization"}},
    {"stages.#.blocks.#.attn.conv_proj_v.conv",
     {"@encoder.stages.#.layers.#.attention.attention.convolution_projection_value."
      "convolution_projection.convolution"}},
    {"stages.#.blocks.#.attn.conv_proj_v.bn",
     {"@encoder.stages.#.layers.#.attention.attention.convolution_projection_value."
      "convolution_projection.normalization"}},
    {"stages.#.blocks.#.attn.proj_q",
     {"@encoder.stages.#.layers.#.attention.attention.projection_query"}},
    {"stages.#.blocks.#.attn.proj_k",
     {"@encoder.stages.#.layers.#.attention.attention.projection_key"}},
    {"stages.#.blocks.#.attn.proj_v",
     {"@encoder.stages.#.layers.#.attention.attention.projection_value"}},
    {"stages.#.blocks.#.attn.proj", {"@encoder.stages.#.layers.#.attention.output.dense"}},
    {"stages.#.blocks.#.norm2", {"@encoder.stages.#.layers.#.layernorm_after"}},
    {"stages.#.blocks.#.mlp.fc1", {"@encoder.stages.#.layers.#.intermediate.dense"}},
    {"stages.#.blocks.#.mlp.fc2", {"@encoder.stages.#.layers.#.output.dense"}},
    {"norm", {"layernorm"}},
    {"head", {"classifier"}},
};

// layer_norm_eps is a field that no layer of the library reads: all have torch's epsilon.
constexpr FieldRule kHfCvtFields[] = {
    {"num_channels"},
    {"patch_sizes"},
    {"patch_stride"},
    {"patch_padding"},
    {"embed_dim"},
    {"num_heads"},
    {"depth"},
    {"mlp_ratio"},
    {"qkv_bias"},
    {"cls_token"},
    {"qkv_projection_method"},
    {"kernel_qkv"},
    {"padding_kv"},
    {"stride_kv"},
    {"padding_q"},
    {"stride_q"},
    {"layer_norm_eps", FieldRule::kNumber},
    {"attention_drop_rate", FieldRule::kIdle},
    {"drop_rate", FieldRule::kIdle},
    {"drop_path_rate", FieldRule::kIdle},
    {"initializer_range", FieldRule::kNumber},
};

// Error: the lists of booleans and words say what Vitrail's CvT is not.
void settle_cvt_flags(CvtConfig& c, const nlohmann::json& in, const std::string& place) {
  const auto flags = [&](const char* key, std::vector<bool> otherwise) {
    const auto found = in.find(key);
    if (found == in.end() || found->is_null()) return otherwise;
    const bool fits = found->is_array() && found->size() == otherwise.size() &&
                      std::ranges::all_of(*found, [](const auto& one) { return one.is_boolean(); });
    check(fits, "transformers", "{}: {} is {}, not true or false for each of {} stages", place, key,
          shown(*found), otherwise.size());
    return found->get<std::vector<bool>>();
  };
  const std::vector<bool> bias = flags("qkv_bias", std::vector<bool>(c.depths.size(), true));
  for (const bool one : bias)
    check(one == bias.front(), ErrorCode::unsupported, "transformers",
          "{}: qkv_bias differs between stages, which Vitrail does not implement", place);
  c.qkv_bias = bias.empty() || bias.front();
  std::vector<bool> published(c.depths.size(), false);
  if (!published.empty()) published.back() = true;
  const std::vector<bool> token = flags("cls_token", published);
  for (size_t i = 0; i + 1 < token.size(); ++i)
    check(!token[i], ErrorCode::unsupported, "transformers",
          "{}: cls_token gives stage {} a class token; only the last stage may have one", place, i);
  c.class_token = !token.empty() && token.back();
  const auto methods = get_optional<std::vector<std::string>>(in, "qkv_projection_method", place);
  for (const std::string& method : methods.value_or(std::vector<std::string>{}))
    check(method == "dw_bn", ErrorCode::unsupported, "transformers",
          "{}: qkv_projection_method is {}, which transformers itself does not run; dw_bn is",
          place, shown(method));
  // Queries keep the grid; others could not be added to the tokens.
  const auto strides = get_optional<std::vector<int64_t>>(in, "stride_q", place);
  for (const int64_t stride : strides.value_or(std::vector<int64_t>{}))
    check(stride == 1, "transformers", "{}: stride_q is {}, and queries must keep the grid: 1",
          place, stride);
  const std::vector<int64_t> paddings = get_optional<std::vector<int64_t>>(in, "padding_q", place)
                                            .value_or(std::vector<int64_t>(c.depths.size(), 1));
  for (size_t i = 0; i < std::min(paddings.size(), c.kernels.size()); ++i)
    check(2 * paddings[i] == c.kernels[i] - 1, "transformers",
          "{}: padding_q {} does not let queries keep the grid under a kernel_qkv of {}", place,
          paddings[i], c.kernels[i]);
}

class HfCvtFamily : public HfNetwork {
 public:
  const char* name() const override { return "hf_cvt"; }
  const char* models() const override { return "transformers' CvT"; }
  std::string_view network() const override { return CvtConfig::kType; }
  std::string_view mark() const override {
    return "encoder.stages.0.embedding.convolution_embeddings.projection.weight";
  }
  std::span<const HfModel> hf_models() const override { return kHfCvt; }
  std::span<const std::string_view> architectures() const override { return kHfCvtArchitectures; }
  bool is_left_out(std::string_view tensor) const override {
    return tensor.ends_with(".num_batches_tracked");
  }
  NameTables tables(const Spelling&) const override { return {{kHfCvtRows}, 0, false}; }
  Spelling spelling_for(const NetworkConfig& config) const override {
    return {.prefix = config.class_answer().classes > 0 ? "cvt." : ""};
  }

  std::span<const FieldRule> config_fields() const override { return kHfCvtFields; }
  NetworkConfig from_config(const nlohmann::json& in, const std::string& place) const override {
    CvtConfig c;
    const auto read = [&](const char* key, auto& field) {
      field =
          get_optional<std::remove_reference_t<decltype(field)>>(in, key, place).value_or(field);
    };
    read("num_channels", c.in_channels);
    read("depth", c.depths);
    read("embed_dim", c.embed_dims);
    read("num_heads", c.num_heads);
    read("patch_sizes", c.patch_sizes);
    read("patch_stride", c.strides);
    read("patch_padding", c.paddings);
    read("kernel_qkv", c.kernels);
    read("stride_kv", c.key_strides);
    read("padding_kv", c.key_paddings);
    std::vector<double> ratios(3, 4.0);
    read("mlp_ratio", ratios);
    c.mlp_hidden_dims.clear();
    for (size_t i = 0; i < std::min(ratios.size(), c.embed_dims.size()); ++i)
      c.mlp_hidden_dims.push_back(
          static_cast<int64_t>(static_cast<double>(c.embed_dims[i]) * ratios[i]));
    settle_cvt_flags(c, in, place);
    std::vector<std::string> classes;
    read("architectures", classes);
    c.final_norm = std::ranges::find(classes, kHfCvtBase) == classes.end();
    check(c.class_token || !c.final_norm, "transformers",
          "{}: cls_token gives no class token, without which transformers' classifier does not run",
          place);
    return c;
  }
  nlohmann::json to_config(const NetworkConfig& network) const override {
    const CvtConfig& c = *network.get_if<CvtConfig>();
    const size_t stages = c.depths.size();
    std::vector<double> ratios;
    std::vector<int64_t> query_paddings;
    for (size_t i = 0; i < stages; ++i) {
      ratios.push_back(static_cast<double>(c.mlp_hidden_dims[i]) /
                       static_cast<double>(c.embed_dims[i]));
      query_paddings.push_back(c.kernels[i] / 2);
    }
    std::vector<bool> token(stages, false);
    token.back() = c.class_token;
    return {{"num_channels", c.in_channels},
            {"depth", c.depths},
            {"embed_dim", c.embed_dims},
            {"num_heads", c.num_heads},
            {"patch_sizes", c.patch_sizes},
            {"patch_stride", c.strides},
            {"patch_padding", c.paddings},
            {"kernel_qkv", c.kernels},
            {"stride_kv", c.key_strides},
            {"padding_kv", c.key_paddings},
            {"stride_q", std::vector<int64_t>(stages, 1)},
            {"padding_q", query_paddings},
            {"mlp_ratio", ratios},
            {"qkv_bias", std::vector<bool>(stages, c.qkv_bias)},
            {"cls_token", token},
            {"qkv_projection_method", std::vector<std::string>(stages, "dw_bn")},
            {"attention_drop_rate", std::vector<double>(stages, 0.0)},
            {"drop_rate", std::vector<double>(stages, 0.0)},
            {"drop_path_rate", std::vector<double>(stages, 0.0)}};
  }
  void check_expressible(const NetworkConfig& network) const override {
    const CvtConfig& c = *network.get_if<CvtConfig>();
    const auto require = [&](bool holds, const std::string& what) {
      check(holds, "convert", "{} models cannot express {}", name(), what);
    };
    require(c.layer_norm_epsilon == 1e-5, "a LayerNorm of any epsilon but 1e-5");
    require(c.class_token || c.num_classes == 0, "a classifier without a class token");
    require(c.final_norm == (c.num_classes > 0),
            "a norm behind the last stage without a classifier, nor a classifier without it");
    for (size_t i = 0; i < c.depths.size(); ++i) {
      // Its drop path reads a rate of block number i of stage i.
      require(c.depths[i] > static_cast<int64_t>(i),
              fmt::format("a stage {} of {} blocks", i, c.depths[i]));
      const auto dim = static_cast<double>(c.embed_dims[i]);
      const double ratio = static_cast<double>(c.mlp_hidden_dims[i]) / dim;
      require(static_cast<int64_t>(dim * ratio) == c.mlp_hidden_dims[i],
              fmt::format("an MLP {} wide on {}", c.mlp_hidden_dims[i], c.embed_dims[i]));
    }
  }
};

}  // namespace

const Family* hf_cvt_family() {
  static const HfCvtFamily family;
  return &family;
}

}  // namespace vitrail
