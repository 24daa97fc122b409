// Original TinyViT (microsoft/Cream): files that stand alone, whose shapes say the model. timm has
// the same weights under other names.
#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "models/backbones/tiny_vit_config.h"
#include "models/families/network_family.h"
#include "models/families/reading/fields.h"
#include "models/families/recognise.h"
#include "models/families/registry.h"
#include "models/families/timm/timm_network.h"

namespace vitrail {
namespace {

// The downsampling stands at the end of the stage before: numbered().
constexpr NameRow kTinyVitRowsOfCream[] = {
    {"patch_embed.conv1.conv", {"@patch_embed.seq.0.c"}},
    {"patch_embed.conv1.bn", {"@patch_embed.seq.0.bn"}},
    {"patch_embed.conv2.conv", {"@patch_embed.seq.2.c"}},
    {"patch_embed.conv2.bn", {"@patch_embed.seq.2.bn"}},
    {"stages.#.blocks.#.conv1.conv", {"@layers.#.blocks.#.conv1.c"}},
    {"stages.#.blocks.#.conv1.bn", {"@layers.#.blocks.#.conv1.bn"}},
    {"stages.#.blocks.#.conv2.conv", {"@layers.#.blocks.#.conv2.c"}},
    {"stages.#.blocks.#.conv2.bn", {"@layers.#.blocks.#.conv2.bn"}},
    {"stages.#.blocks.#.conv3.conv", {"@layers.#.blocks.#.conv3.c"}},
    {"stages.#.blocks.#.conv3.bn", {"@layers.#.blocks.#.conv3.bn"}},
    {"stages.#.downsample.conv1.conv", {"@layers.#.downsample.conv1.c"}},
    {"stages.#.downsample.conv1.bn", {"@layers.#.downsample.conv1.bn"}},
    {"stages.#.downsample.conv2.conv", {"@layers.#.downsample.conv2.c"}},
    {"stages.#.downsample.conv2.bn", {"@layers.#.downsample.conv2.bn"}},
    {"stages.#.downsample.conv3.conv", {"@layers.#.downsample.conv3.c"}},
    {"stages.#.downsample.conv3.bn", {"@layers.#.downsample.conv3.bn"}},
    {"stages.#.blocks.#.attn.norm", {"@layers.#.blocks.#.attn.norm"}},
    {"stages.#.blocks.#.attn.qkv", {"@layers.#.blocks.#.attn.qkv"}},
    {"stages.#.blocks.#.attn.proj", {"@layers.#.blocks.#.attn.proj"}},
    {"stages.#.blocks.#.attn.attention_biases", {"@layers.#.blocks.#.attn.attention_biases"}},
    {"stages.#.blocks.#.local_conv.conv", {"@layers.#.blocks.#.local_conv.c"}},
    {"stages.#.blocks.#.local_conv.bn", {"@layers.#.blocks.#.local_conv.bn"}},
    {"stages.#.blocks.#.mlp.norm", {"@layers.#.blocks.#.mlp.norm"}},
    {"stages.#.blocks.#.mlp.fc1", {"@layers.#.blocks.#.mlp.fc1"}},
    {"stages.#.blocks.#.mlp.fc2", {"@layers.#.blocks.#.mlp.fc2"}},
    {"fc_norm", {"@norm_head"}},
    {"head", {"@head"}},
};
constexpr std::string_view kDown = ".downsample.";

// What the tensors say: all but the size of the pictures.
class TinyVitShapes {
 public:
  explicit TinyVitShapes(const FileReading& file) : file_(file) {}

  TinyVitConfig config() const {
    TinyVitConfig c;
    c.in_channels = shape("patch_embed.seq.0.c.weight", 4)[1];
    c.embed_dims = {shape("patch_embed.seq.2.c.weight", 4)[0]};
    c.depths = {blocks_of(0, "conv1.c.weight")};
    c.num_heads = c.window_sizes = {1};
    const Shape& expanded = shape("layers.0.blocks.0.conv1.c.weight", 4);
    c.mbconv_expand_ratio = ratio(expanded[0], expanded[1]);
    for (int64_t i = 1; has(fmt::format("layers.{}.downsample.conv3.c.weight", i - 1)); ++i) {
      c.embed_dims.push_back(
          shape(fmt::format("layers.{}.downsample.conv3.c.weight", i - 1), 4)[0]);
      c.depths.push_back(blocks_of(i, "local_conv.c.weight"));
      const std::string first = fmt::format("layers.{}.blocks.0.", i);
      const Shape& biases = shape(first + "attn.attention_biases", 2);
      c.num_heads.push_back(biases[0]);
      c.window_sizes.push_back(std::lround(std::sqrt(static_cast<double>(biases[1]))));
      const Shape& hidden = shape(first + "mlp.fc1.weight", 2);
      c.mlp_ratio = ratio(hidden[0], hidden[1]);
      c.local_conv_size = shape(first + "local_conv.c.weight", 4)[2];
    }
    return c;
  }

 private:
  bool has(const std::string& name) const {
    return file_.tensors.contains(file_.spelling.prefix + name);
  }
  const Shape& shape(const std::string& name, int rank) const {
    const Shape& found = file_.tensors.info(file_.spelling.prefix + name).shape;
    check(found.rank() == rank, "tiny_vit", "{}: {} of {} has not {} axes", file_.tensors.place(),
          name, found.str(), rank);
    return found;
  }
  int64_t blocks_of(int64_t layer, const char* tensor) const {
    int64_t count = 0;
    while (has(fmt::format("layers.{}.blocks.{}.{}", layer, count, tensor))) ++count;
    return count;
  }
  static double ratio(int64_t hidden, int64_t width) {
    return static_cast<double>(hidden) / static_cast<double>(std::max<int64_t>(width, 1));
  }
  const FileReading& file_;
};

class TinyVitFamily : public NetworkFamily {
 public:
  const char* name() const override { return "tiny_vit"; }
  const char* models() const override { return "original TinyViT"; }
  const ConfigForm& config_form() const override { return arguments_form(); }
  std::string_view network() const override { return TinyVitConfig::kType; }
  std::string_view mark() const override { return "layers.0.downsample.conv1.c.weight"; }
  NameTables tables(const Spelling&) const override { return {{kTinyVitRowsOfCream}, 0, false}; }
  std::string numbered(const Spelling&, std::string_view canonical) const override {
    std::string name(canonical);
    const size_t down = name.find(kDown);
    // "stages.2.downsample": a digit, for no TinyViT has ten stages.
    if (down != std::string::npos && down > 0 && name[down - 1] > '0') --name[down - 1];
    return name;
  }
  bool is_left_out(std::string_view tensor) const override {
    return tensor.ends_with(".num_batches_tracked") || tensor.ends_with(".attention_bias_idxs") ||
           tensor.ends_with(".attn.ab");
  }
  void check_expressible(const NetworkConfig& network) const override {
    check(network.get_if<TinyVitConfig>()->activation == kernels::Activation::gelu, "convert",
          "original TinyViT has no activation but GELU");
  }
  // Its files have no place for labels and preprocessing.
  std::vector<const Family*> classifier_forms() const override { return {timm_tiny_vit_family()}; }

 protected:
  NetworkDraft begin(const FileReading& file) const override {
    if (file.has_config())
      check_fields(file.files.config,
                   {file.files.config_name, "original TinyViT, whose files stand alone,", {}});
    TinyVitConfig c = TinyVitShapes(file).config();
    const Family& timm = *timm_tiny_vit_family();
    for (const std::string_view name : timm.model_names()) {
      const PublishedModel published = timm.published_model(name);
      const TinyVitConfig& of = *published.config.get_if<TinyVitConfig>();
      if (of.embed_dims != c.embed_dims || of.depths != c.depths ||
          !std::equal(of.window_sizes.begin() + 1, of.window_sizes.end(),
                      c.window_sizes.begin() + 1))
        continue;
      c.architecture = name;
      c.image_height = of.image_height;
      c.image_width = of.image_width;
      NetworkDraft draft(c);
      draft.sources.push_back({"architecture", std::string(name), "shapes"});
      draft.add_preprocess(PreprocessKind::timm, published.preprocess,
                           "how original TinyViT was evaluated");
      return draft;
    }
    NetworkDraft draft(c);
    draft.open.insert("image_height");
    draft.open.insert("image_width");
    return draft;
  }
  void settle(NetworkDraft&, const FileReading&) const override {}
};

}  // namespace

const Family* tiny_vit_family() {
  static const TinyVitFamily family;
  return &family;
}

}  // namespace vitrail
