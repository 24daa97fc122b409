// transformers' LeViT, with one head and with a teacher's beside it.
#include <charconv>

#include "core/error.h"
#include "models/backbones/levit.h"
#include "models/families/hf/hf_network.h"
#include "models/families/recognise.h"
#include "models/families/registry.h"

namespace vitrail {
namespace {

constexpr HfModel kHfLevit[] = {{"levit", "Levit"}};
constexpr std::string_view kHfLevitTeacher = "LevitForImageClassificationWithTeacher";
constexpr std::string_view kHfLevitArchitectures[] = {"LevitModel", "LevitForImageClassification",
                                                      kHfLevitTeacher};

// The stages' numbers are those of numbered().
constexpr NameRow kHfLevitRows[] = {
    {"stem.conv1.linear", {"@patch_embeddings.embedding_layer_1.convolution"}},
    {"stem.conv1.bn", {"@patch_embeddings.embedding_layer_1.batch_norm"}},
    {"stem.conv2.linear", {"@patch_embeddings.embedding_layer_2.convolution"}},
    {"stem.conv2.bn", {"@patch_embeddings.embedding_layer_2.batch_norm"}},
    {"stem.conv3.linear", {"@patch_embeddings.embedding_layer_3.convolution"}},
    {"stem.conv3.bn", {"@patch_embeddings.embedding_layer_3.batch_norm"}},
    {"stem.conv4.linear", {"@patch_embeddings.embedding_layer_4.convolution"}},
    {"stem.conv4.bn", {"@patch_embeddings.embedding_layer_4.batch_norm"}},
    {"stages.#.#.attn.qkv.linear",
     {"@encoder.stages.#.layers.#.module.queries_keys_values.linear"}},
    {"stages.#.#.attn.qkv.bn",
     {"@encoder.stages.#.layers.#.module.queries_keys_values.batch_norm"}},
    {"stages.#.#.attn.proj.ln.linear", {"@encoder.stages.#.layers.#.module.projection.linear"}},
    {"stages.#.#.attn.proj.ln.bn", {"@encoder.stages.#.layers.#.module.projection.batch_norm"}},
    {"stages.#.#.attn.attention_biases", {"@encoder.stages.#.layers.#.module.attention_biases"}},
    {"stages.#.#.mlp.ln1.linear", {"@encoder.stages.#.layers.#.module.linear_up.linear"}},
    {"stages.#.#.mlp.ln1.bn", {"@encoder.stages.#.layers.#.module.linear_up.batch_norm"}},
    {"stages.#.#.mlp.ln2.linear", {"@encoder.stages.#.layers.#.module.linear_down.linear"}},
    {"stages.#.#.mlp.ln2.bn", {"@encoder.stages.#.layers.#.module.linear_down.batch_norm"}},
    {"stages.#.#.attn_downsample.kv.linear", {"@encoder.stages.#.layers.#.keys_values.linear"}},
    {"stages.#.#.attn_downsample.kv.bn", {"@encoder.stages.#.layers.#.keys_values.batch_norm"}},
    {"stages.#.#.attn_downsample.q.ln.linear", {"@encoder.stages.#.layers.#.queries.linear"}},
    {"stages.#.#.attn_downsample.q.ln.bn", {"@encoder.stages.#.layers.#.queries.batch_norm"}},
    {"stages.#.#.attn_downsample.proj.ln.linear", {"@encoder.stages.#.layers.#.projection.linear"}},
    {"stages.#.#.attn_downsample.proj.ln.bn", {"@encoder.stages.#.layers.#.projection.batch_norm"}},
    {"stages.#.#.attn_downsample.attention_biases",
     {"@encoder.stages.#.layers.#.attention_biases"}},
    {"head.bn", {"classifier.batch_norm"}},
    {"head.linear", {"classifier.linear"}},
    {"head_dist.bn", {"classifier_distill.batch_norm"}},
    {"head_dist.linear", {"classifier_distill.linear"}},
};

constexpr FieldRule kHfLevitFields[] = {
    {"image_size"},
    {"num_channels"},
    {"hidden_sizes"},
    {"num_attention_heads"},
    {"depths"},
    {"key_dim"},
    {"mlp_ratio"},
    {"attention_ratio"},
    {"down_ops"},
    {"kernel_size", FieldRule::kOnly, "[3]"},
    {"stride", FieldRule::kOnly, "[2]"},
    {"padding", FieldRule::kOnly, "[1]"},
    {"patch_size", FieldRule::kOnly, "[16]"},
    {"drop_path_rate", FieldRule::kNumber},
    {"initializer_range", FieldRule::kNumber},
};

// "stages.1.blocks.2.attn" in its parts: the stage, what follows it, and the number behind that.
struct LevitPlace {
  int64_t stage = 0, block = 0;
  std::string_view rest;  // behind the block
  bool downsample = false;
};
std::optional<LevitPlace> levit_place(std::string_view name) {
  constexpr std::string_view kStages = "stages.", kBlocks = "blocks.", kDown = "downsample.";
  if (!name.starts_with(kStages)) return std::nullopt;
  name.remove_prefix(kStages.size());
  const auto number = [&](int64_t& value) {
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), value);
    name.remove_prefix(static_cast<size_t>(end - name.data()) + 1);
  };
  LevitPlace place;
  number(place.stage);
  place.downsample = name.starts_with(kDown);
  name.remove_prefix(place.downsample ? kDown.size() : kBlocks.size());
  if (!place.downsample) number(place.block);
  place.rest = name;
  return place;
}

// transformers has three stages, and attention between them as the paper's.
nlohmann::json down_ops_of(const LevitConfig& c) {
  nlohmann::json list = nlohmann::json::array();
  for (size_t i = 0; i + 1 < c.embed_dims.size(); ++i)
    list.push_back(
        {"Subsample", c.key_dims.front(), c.embed_dims[i] / c.key_dims.front(), 4, 2, 2});
  return list;
}

void check_down_ops(const LevitConfig& c, const nlohmann::json& said, const std::string& place) {
  nlohmann::json given = said;
  // The library appends one of no operation for the last stage.
  while (given.is_array() && !given.empty() && given.back() == nlohmann::json::array({""}))
    given.erase(given.end() - 1);
  check(given == down_ops_of(c), ErrorCode::unsupported, "transformers",
        "{}: down_ops is {}, and Vitrail implements {} alone", place, shown(said),
        down_ops_of(c).dump());
}

class HfLevitFamily : public HfNetwork {
 public:
  const char* name() const override { return "hf_levit"; }
  const char* models() const override { return "transformers' LeViT"; }
  std::string_view network() const override { return LevitConfig::kType; }
  std::string_view mark() const override {
    return "patch_embeddings.embedding_layer_1.convolution.weight";
  }
  std::string_view head() const override { return "head.linear"; }
  std::span<const HfModel> hf_models() const override { return kHfLevit; }
  std::span<const std::string_view> architectures() const override { return kHfLevitArchitectures; }
  bool is_left_out(std::string_view tensor) const override {
    return tensor.ends_with(".num_batches_tracked") || tensor.ends_with(".attention_bias_idxs");
  }

  // A stage ends with the attention that leads to the next one, and its perceptron.
  void read_spelling(const FileEvidence& file, Spelling& s) const override {
    for (int64_t stage = 0;; ++stage) {
      const std::string layers = s.prefix + "encoder.stages." + std::to_string(stage) + ".layers.";
      int64_t layer = 0;
      while (file.tensors().contains(layers + std::to_string(layer) + ".module.attention_biases"))
        layer += 2;
      if (layer == 0) return;
      s.depths.push_back(layer / 2);
    }
  }
  Spelling spelling_for(const NetworkConfig& config) const override {
    const LevitConfig& c = *config.get_if<LevitConfig>();
    Spelling s;
    if (c.num_classes > 0) s.prefix = "levit.";
    s.depths = c.depths;
    return s;
  }
  NameTables tables(const Spelling&) const override { return {{kHfLevitRows}, 0, false}; }
  std::string numbered(const Spelling& s, std::string_view name) const override {
    const std::optional<LevitPlace> place = levit_place(name);
    if (!place) return std::string(name);
    const bool mlp = place->rest.starts_with("mlp.");
    int64_t stage = place->stage, layer = 2 * place->block;
    if (place->downsample) {
      --stage;
      const auto known = static_cast<size_t>(stage) < s.depths.size();
      layer = known ? 2 * s.depths[static_cast<size_t>(stage)] : 0;
    }
    return fmt::format("stages.{}.{}.{}", stage, layer + (mlp ? 1 : 0), place->rest);
  }

  std::span<const FieldRule> config_fields() const override { return kHfLevitFields; }
  NetworkConfig from_config(const nlohmann::json& config, const std::string& place) const override {
    LevitConfig c;
    c.num_heads = {4, 8, 12};
    c.depths = {4, 4, 4};
    const auto read = [&](const char* key, auto& field) {
      if (const auto value =
              get_optional<std::remove_reference_t<decltype(field)>>(config, key, place))
        field = *value;
    };
    read("image_size", c.image_height);
    c.image_width = c.image_height;
    read("num_channels", c.in_channels);
    read("hidden_sizes", c.embed_dims);
    read("num_attention_heads", c.num_heads);
    read("depths", c.depths);
    read("key_dim", c.key_dims);
    read("mlp_ratio", c.mlp_ratios);
    std::vector<int64_t> ratios{2, 2, 2};
    read("attention_ratio", ratios);
    check(c.depths.size() == 3 && ratios.size() == 3 && c.key_dims.size() == 3, "transformers",
          "{}: depths, key_dim and attention_ratio must name three stages", place);
    for (size_t i = 0; i < 3; ++i) c.value_dims[i] = ratios[i] * c.key_dims[i];
    c.distilled = false;
    std::vector<std::string> classes;
    read("architectures", classes);
    for (const std::string& one : classes) c.distilled = c.distilled || one == kHfLevitTeacher;
    c.validate();
    if (const auto said = config.find("down_ops"); said != config.end() && !said->is_null())
      check_down_ops(c, *said, place);
    return c;
  }
  nlohmann::json to_config(const NetworkConfig& config) const override {
    const LevitConfig& c = *config.get_if<LevitConfig>();
    nlohmann::json ratios = nlohmann::json::array();
    for (size_t i = 0; i < c.value_dims.size(); ++i)
      ratios.push_back(c.value_dims[i] / c.key_dims[i]);
    return {{"image_size", c.image_height},
            {"num_channels", c.in_channels},
            {"hidden_sizes", c.embed_dims},
            {"num_attention_heads", c.num_heads},
            {"depths", c.depths},
            {"key_dim", c.key_dims},
            {"mlp_ratio", c.mlp_ratios},
            {"attention_ratio", ratios},
            {"down_ops", down_ops_of(c)},
            {"kernel_size", 3},
            {"stride", 2},
            {"padding", 1},
            {"patch_size", 16},
            {"drop_path_rate", 0}};
  }
  std::string classifier_class(const NetworkConfig& config) const override {
    return config.get_if<LevitConfig>()->distilled ? std::string(kHfLevitTeacher)
                                                   : HfNetwork::classifier_class(config);
  }
  void check_expressible(const NetworkConfig& config) const override {
    const LevitConfig& c = *config.get_if<LevitConfig>();
    const auto require = [&](bool holds, const char* what) {
      check(holds, "convert", "{} models cannot express {}", name(), what);
    };
    require(c.depths.size() == 3, "any number of stages but three");
    require(c.stem_stride == 16, "a stem of stride 8");
    require(c.image_height == c.image_width, "pictures that are not square");
    require(
        c.activation == Activation::hard_swish && c.attention_activation == Activation::hard_swish,
        "any activation but hard_swish");
    require(!c.convolutions, "projections that are stored as convolutions");
    for (size_t i = 0; i < c.value_dims.size(); ++i)
      require(c.value_dims[i] % c.key_dims[i] == 0, "values that are no multiple of keys");
  }
};

}  // namespace

const Family* hf_levit_family() {
  static const HfLevitFamily family;
  return &family;
}

}  // namespace vitrail
