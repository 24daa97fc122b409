// vit-pytorch's CaiT: heads are mixed in class attention, too, and what the patches answer with is
// not normalised. Its library writes no config.json.
#include <cmath>

#include "core/error.h"
#include "models/backbones/cait.h"
#include "models/families/network_family.h"
#include "models/families/reading/fields.h"
#include "models/families/recognise.h"
#include "models/families/registry.h"

namespace vitrail {
namespace {

constexpr double kVitPytorchCaitEpsilon = 1e-5;

constexpr NameRow kVitPytorchCaitRows[] = {
    {"cls_token", {"@cls_token"}},
    {"pos_embed", {"@pos_embedding"}},
    {"patch_embed.norm_in", {"@to_patch_embedding.1"}},
    {"patch_embed.proj", {"@to_patch_embedding.2"}},
    {"patch_embed.norm_out", {"@to_patch_embedding.3"}},
    {"blocks.#.norm1", {"@patch_transformer.layers.#.0.fn.norm"}},
    {"blocks.#.attn.mix_heads_pre_attn", {"@patch_transformer.layers.#.0.fn.mix_heads_pre_attn"}},
    {"blocks.#.attn.mix_heads_post_attn", {"@patch_transformer.layers.#.0.fn.mix_heads_post_attn"}},
    {"blocks.#.attn.qkv",
     {"@patch_transformer.layers.#.0.fn.to_q+@patch_transformer.layers.#.0.fn.to_kv*2"}},
    {"blocks.#.attn.proj", {"@patch_transformer.layers.#.0.fn.to_out.0"}},
    {"blocks.#.ls1.gamma", {"@patch_transformer.layers.#.0.scale"}},
    {"blocks.#.norm2", {"@patch_transformer.layers.#.1.fn.net.0"}},
    {"blocks.#.mlp.fc1", {"@patch_transformer.layers.#.1.fn.net.1"}},
    {"blocks.#.mlp.fc2", {"@patch_transformer.layers.#.1.fn.net.4"}},
    {"blocks.#.ls2.gamma", {"@patch_transformer.layers.#.1.scale"}},
    {"blocks_token_only.#.norm1", {"@cls_transformer.layers.#.0.fn.norm"}},
    {"blocks_token_only.#.attn.mix_heads_pre_attn",
     {"@cls_transformer.layers.#.0.fn.mix_heads_pre_attn"}},
    {"blocks_token_only.#.attn.mix_heads_post_attn",
     {"@cls_transformer.layers.#.0.fn.mix_heads_post_attn"}},
    {"blocks_token_only.#.attn.q", {"@cls_transformer.layers.#.0.fn.to_q"}},
    {"blocks_token_only.#.attn.kv", {"@cls_transformer.layers.#.0.fn.to_kv"}},
    {"blocks_token_only.#.attn.proj", {"@cls_transformer.layers.#.0.fn.to_out.0"}},
    {"blocks_token_only.#.ls1.gamma", {"@cls_transformer.layers.#.0.scale"}},
    {"blocks_token_only.#.norm2", {"@cls_transformer.layers.#.1.fn.net.0"}},
    {"blocks_token_only.#.mlp.fc1", {"@cls_transformer.layers.#.1.fn.net.1"}},
    {"blocks_token_only.#.mlp.fc2", {"@cls_transformer.layers.#.1.fn.net.4"}},
    {"blocks_token_only.#.ls2.gamma", {"@cls_transformer.layers.#.1.scale"}},
    {"norm", {"@mlp_head.0"}},
    {"head", {"@mlp_head.1"}},
};

constexpr std::string_view kVitPytorchCaitClasses[] = {"vit_pytorch.cait.CaiT"};

class VitPytorchCait : public NetworkFamily {
 public:
  const char* name() const override { return "vit_pytorch_cait"; }
  const char* models() const override { return "vit-pytorch's CaiT"; }
  const ConfigForm& config_form() const override { return arguments_form(); }
  std::span<const std::string_view> module_classes() const override {
    return kVitPytorchCaitClasses;
  }
  const Family* refines() const override { return vit_pytorch_family(); }
  std::string_view network() const override { return CaitConfig::kType; }
  std::string_view mark() const override {
    return "cls_transformer.layers.0.0.fn.mix_heads_pre_attn";
  }
  bool suits(const NetworkConfig& config) const override {
    const auto* cait = config.get_if<CaitConfig>();
    return cait != nullptr && cait->head_mixing == HeadMixingKind::matrices;
  }
  NameTables tables(const Spelling&) const override { return {{kVitPytorchCaitRows}, 0, false}; }
  void check_expressible(const NetworkConfig& config) const override;
  // Its files have no place for labels and preprocessing.
  std::vector<const Family*> classifier_forms() const override { return {own_family()}; }

 protected:
  NetworkDraft begin(const FileReading& file) const override;
  void settle(NetworkDraft& draft, const FileReading& file) const override;
};

// A tensor's shape, by its canonical name. Error: it is missing, or of another rank.
const Shape& shape_in(const FileReading& file, const std::string& canonical, int rank) {
  const std::vector<std::string> names = names_in(file.spelling, canonical);
  const Shape& shape = file.tensors.info(names.front()).shape;
  check(shape.rank() == rank && shape.numel() > 0, "vit-pytorch",
        "{}: '{}' is {}; {} axes are needed", file.tensors.place(), names.front(), shape.str(),
        rank);
  return shape;
}

int64_t blocks_in(const FileReading& file, const std::string& blocks) {
  int64_t count = 0;
  while (file.tensors.contains(
      names_in(file.spelling, blocks + "." + std::to_string(count) + ".norm1.weight").front()))
    ++count;
  return count;
}

// Error: the number is no square.
int64_t root_of(int64_t square, const char* what, const std::string& place) {
  const auto side = static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(square))));
  check(side > 0 && side * side == square, "vit-pytorch", "{}: {} are {}, which is no square",
        place, what, square);
  return side;
}

// Its pictures are square and of three channels, its patches too. Heads are not in the shapes: the
// mixing of heads tells how many there are.
NetworkDraft VitPytorchCait::begin(const FileReading& file) const {
  const std::string& place = file.tensors.place();
  if (file.has_config())
    check_fields(file.files.config,
                 {file.files.config_name, "vit-pytorch's CaiT, which has none,", {}});
  constexpr int64_t kChannels = 3;
  const Shape& patches = shape_in(file, "patch_embed.proj.weight", 2);
  const Shape& mixing = shape_in(file, "blocks.0.attn.mix_heads_pre_attn", 2);
  CaitConfig c;
  c.patch_embedding = PatchEmbedding::linear;
  c.patch_norm = true;
  c.in_channels = kChannels;
  c.embed_dim = patches[0];
  check(patches[1] % kChannels == 0, "vit-pytorch",
        "{}: patches of {} values are not of three channels", place, patches[1]);
  c.patch_size = root_of(patches[1] / kChannels, "a patch's pixels", place);
  const int64_t rows = shape_in(file, "pos_embed", 3)[1];
  c.image_height = c.image_width = c.patch_size * root_of(rows, "positions", place);
  c.depth = blocks_in(file, "blocks");
  c.class_depth = blocks_in(file, "blocks_token_only");
  c.num_heads = mixing[0];
  const int64_t width = shape_in(file, "blocks.0.attn.proj.weight", 2)[1];
  check(width % c.num_heads == 0, "vit-pytorch", "{}: {} heads do not divide the {} rows of q",
        place, c.num_heads, width);
  c.head_dim = width == c.embed_dim ? 0 : width / c.num_heads;
  c.mlp_hidden_dim = shape_in(file, "blocks.0.mlp.fc1.weight", 2)[0];
  c.class_mlp_hidden_dim = shape_in(file, "blocks_token_only.0.mlp.fc1.weight", 2)[0];
  c.qkv_bias = false;
  c.head_mixing = HeadMixingKind::matrices;
  c.class_head_mixing = true;
  c.class_norms_patches = false;
  c.layer_norm_epsilon = kVitPytorchCaitEpsilon;
  NetworkDraft draft(c);
  draft.sources.push_back({"network", std::string(network()), "names and shapes"});
  return draft;
}

// Settings may say again what the file says, and nothing else.
void VitPytorchCait::settle(NetworkDraft& draft, const FileReading& file) const {
  const CaitConfig& c = *draft.config.get_if<CaitConfig>();
  const int64_t heads = shape_in(file, "blocks.0.attn.mix_heads_pre_attn", 2)[0];
  check(c.num_heads == heads, "vit-pytorch", "{}: num_heads is {}, and the tensors mix {} heads",
        file.tensors.place(), c.num_heads, heads);
}

void VitPytorchCait::check_expressible(const NetworkConfig& config) const {
  const CaitConfig& c = *config.get_if<CaitConfig>();
  const auto require = [](bool possible, const char* what) {
    if (!possible) fail("convert", "vit_pytorch_cait models cannot express {}", what);
  };
  require(c.head_mixing == HeadMixingKind::matrices && c.class_head_mixing,
          "another head_mixing than matrices, in class attention too");
  require(!c.class_norms_patches, "class attention to normalised patches");
  require(c.patch_embedding == PatchEmbedding::linear && c.patch_norm, "patches without norms");
  require(!c.qkv_bias, "a bias of q, k and v");
  require(c.image_height == c.image_width && c.in_channels == 3, "pictures but square ones in RGB");
  require(c.position_grid_height == 0 || c.position_grid_height == c.position_grid_width,
          "positions of a rectangle");
  require(c.num_classes > 0, "a model without a head");
  require(c.pooling == Pooling::class_token, "another pooling than the class token's");
  require(c.activation == kernels::Activation::gelu, "another activation than gelu");
  require(c.layer_norm_epsilon == kVitPytorchCaitEpsilon, "another layer_norm_epsilon than 1e-5");
}

}  // namespace

const Family* vit_pytorch_cait_family() {
  static const VitPytorchCait family;
  return &family;
}

}  // namespace vitrail
