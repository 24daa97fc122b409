#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "models/families/jax_tensors.h"
#include "models/families/reading/draft.h"

namespace vitrail {
namespace {

// The file's tensors by canonical name.
class Shapes {
 public:
  Shapes(const TensorSource& tensors, const Spelling& spelling)
      : tensors_(tensors), spelling_(spelling) {}

  bool has(const std::string& name) const { return find(name) != nullptr; }
  // Every part of it, where it is stacked.
  bool has_whole(const std::string& name) const {
    const auto names = names_in(spelling_, name);
    return !names.empty() && std::ranges::all_of(names, [&](const std::string& part) {
      return tensors_.contains(part);
    });
  }

  const TensorInfo* find(const std::string& name) const {
    const auto names = names_in(spelling_, name);
    return names.empty() ? nullptr : tensors_.find(names.front());
  }

  // Error: not there.
  const TensorInfo& info(const std::string& name) const {
    const TensorInfo* found = find(name);
    if (found == nullptr) fail("shapes", "{}: has no tensor '{}'", tensors_.place(), name);
    return *found;
  }
  bool has_residual_network() const {
    for (const char* stem : {"conv.weight", "stem.conv.weight", "conv1.weight", "conv1.0.weight"})
      if (has(std::string("patch_embed.backbone.") + stem)) return true;
    return false;
  }

  // Rows of a matrix or vector, all parts together.
  int64_t rows(const std::string& name) const {
    int64_t total = 0;
    for (const std::string& part : names_in(spelling_, name)) total += axis(part, 0);
    return total;
  }
  int64_t columns(const std::string& name) const {
    return axis(names_in(spelling_, name).front(), -1);
  }
  // Vectors of width embed_dim that a token or a table of positions holds, whatever its rank.
  int64_t vectors(const std::string& name, int64_t embed_dim) const {
    const TensorInfo* info = find(name);
    if (info == nullptr) return 0;
    const Shape& shape = info->shape;
    if (shape.rank() == 0 || shape[-1] != embed_dim)
      fail("shapes", "{}: '{}' is {}; its last axis must be the width {}", tensors_.place(),
           names_in(spelling_, name).front(), shape.str(), embed_dim);
    return shape.numel() / embed_dim;
  }

 private:
  int64_t axis(const std::string& name, int index) const {
    const TensorInfo* info = tensors_.find(name);
    if (info == nullptr) fail("shapes", "{}: has no tensor '{}'", tensors_.place(), name);
    if (info->shape.rank() == 0 || info->shape.numel() == 0)
      fail("shapes", "{}: '{}' is {}: a matrix or vector is needed", tensors_.place(), name,
           info->shape.str());
    return info->shape[index];
  }
  const TensorSource& tensors_;
  const Spelling& spelling_;
};

constexpr const char* kResidualNames = "patch_embed.backbone.";

// Blocks "PATH.0", "PATH.1", ... of a stage; its channels are what the last convolution makes.
void read_stage(ResNetConfig& r, const Shapes& shapes, const std::string& path) {
  const auto block = [&](int64_t index) { return path + "." + std::to_string(index) + "."; };
  int64_t blocks = 0;
  while (shapes.has(block(blocks) + "conv1.weight")) ++blocks;
  r.bottleneck = shapes.has(block(0) + "conv3.weight");
  r.blocks.push_back(blocks);
  r.channels.push_back(shapes.rows(block(0) + (r.bottleneck ? "conv3.weight" : "conv2.weight")));
}

// The residual networks that timm's hybrids have: what their tensors do not show is the same in all
// of them.
void read_residual_network(ConfigDraft& draft, const Shapes& shapes) {
  VitConfig& c = draft.config;
  ResNetConfig& r = c.resnet;
  const std::string base = kResidualNames;
  r = {.blocks = {}, .channels = {}};
  c.patch_embedding = PatchEmbedding::resnet;
  c.resnet_projection = true;
  r.norm_epsilon = 1e-5;
  std::string first = base + "conv1.0.weight";
  r.deep_stem = shapes.has(first);
  if (!r.deep_stem) {
    const bool alone = shapes.has(base + "conv.weight");
    r.standardised = r.same_padding = alone || shapes.has(base + "stem.conv.weight");
    first = base + (alone ? "conv.weight" : r.standardised ? "stem.conv.weight" : "conv1.weight");
  }
  const TensorInfo& filter = shapes.info(first);
  if (filter.shape.rank() != 4)
    fail("shapes", "'{}' is {}; a filter [out, in, k, k] is needed", first, filter.shape.str());
  c.in_channels = filter.shape[1];
  r.stem_kernel = filter.shape[2];
  r.stem_channels = r.deep_stem ? shapes.rows(base + "conv1.6.weight") : filter.shape[0];
  r.norm = shapes.has(base + "bn1.running_mean") ? Normalisation::batch : Normalisation::group;
  const auto stage = [&](size_t index) {
    return base + (r.standardised ? "stages." + std::to_string(index) + ".blocks"
                                  : "layer" + std::to_string(index + 1));
  };
  while (shapes.has(stage(r.blocks.size()) + ".0.conv1.weight"))
    read_stage(r, shapes, stage(r.blocks.size()));
  // Behind a mean the projection has another number.
  r.average_shortcut = shapes.has(base + "layer1.0.downsample.2.weight");
  for (const char* field : {"resnet_blocks", "resnet_channels", "resnet_standardised",
                            "resnet_same_padding", "resnet_norm_epsilon"})
    draft.record(field, "names");
}

void read_patches(ConfigDraft& draft, const Shapes& shapes, const std::string& place) {
  VitConfig& c = draft.config;
  const TensorInfo* patches = shapes.find("patch_embed.proj.weight");
  if (patches == nullptr) fail("shapes", "{}: has no patch embedding", place);
  const Shape& shape = patches->shape;
  if (shape.numel() == 0 || (shape.rank() != 4 && shape.rank() != 2))
    fail("shapes",
         "{}: the patch embedding is {}; a convolution [D, C, ph, pw] or a matrix "
         "[D, ph*pw*C] is needed",
         place, shape.str());
  c.embed_dim = shape[0];
  c.patches.bias = shapes.has("patch_embed.proj.bias");
  c.patches.norms = shapes.has("patch_embed.norm_in.weight");
  c.patches.output_norm = shapes.has("patch_embed.norm.weight");
  if (shape.rank() == 4) {
    c.patch_embedding = PatchEmbedding::convolution;
    c.in_channels = shape[1];
    c.patches.patch_height = shape[2];
    c.patches.patch_width = shape[3];
    if (shapes.has_residual_network()) read_residual_network(draft, shapes);
    return;
  }
  c.patch_embedding = PatchEmbedding::linear;
  draft.patch_columns = shape[1];
  draft.open.insert({"in_channels", "patch_height", "patch_width"});
  draft.reasons["in_channels"] = "patches of one channel and of four have these shapes";
}

// A norm without a bias is RMSNorm in most models, and LayerNorm in some.
void read_norm(ConfigDraft& draft, const Shapes& shapes, const std::string& norm) {
  if (!shapes.has(norm + ".weight") || shapes.has(norm + ".bias")) return;
  draft.config.norm = NormKind::root_mean_square;
  draft.open.insert("norm");
}

// Where the modules of the first block are.
struct BlockNames {
  std::string attention = "blocks.0.attn.", mlp = "blocks.0.mlp.", norm = "blocks.0.norm1",
              scale = "blocks.0.ls1.gamma";
};

BlockNames read_branches(VitConfig& c, const Shapes& shapes) {
  const auto branch = [](int64_t index) {
    return "blocks.0.attns." + std::to_string(index) + ".attn.qkv.weight";
  };
  if (!shapes.has(branch(0))) return {};
  while (shapes.has(branch(c.block.branches))) ++c.block.branches;
  return {.attention = "blocks.0.attns.0.attn.",
          .mlp = "blocks.0.ffns.0.mlp.",
          .norm = "blocks.0.attns.0.norm",
          .scale = "blocks.0.attns.0.ls.gamma"};
}

void read_attention(ConfigDraft& draft, const Shapes& shapes, const std::string& attention,
                    const std::string& place) {
  VitConfig& c = draft.config;
  const int64_t rows = shapes.rows(attention + "qkv.weight");
  if (rows % 3 != 0)
    fail("shapes", "{}: q, k and v have {} rows together, not a multiple of three", place, rows);
  draft.attention_width = rows / 3;
  // q and v may have biases of their own, and k none.
  const bool whole_bias = shapes.has_whole(attention + "qkv.bias");
  const bool key_has_none = shapes.has(attention + "q_bias");
  c.block.attention.qkv_bias = key_has_none || shapes.has(attention + "qkv.bias");
  c.block.attention.key_bias = whole_bias || !key_has_none;
  c.block.attention.projection = shapes.has(attention + "proj.weight");
  c.block.attention.projection_bias =
      !c.block.attention.projection || shapes.has(attention + "proj.bias");
  c.block.attention.qk_norm = shapes.has(attention + "q_norm.weight");
  if (shapes.has(attention + "reattn_weights"))
    c.block.attention.mixing = HeadMixingKind::reattention;
  c.block.attention.output_norm = shapes.has(attention + "norm.weight");
  c.block.attention.differential = shapes.has(attention + "lambda_q1");
  if (!c.block.attention.qk_norm && !c.block.attention.differential) return;
  // Differential attention has two of half the size for each head.
  const std::string measure =
      attention + (c.block.attention.qk_norm ? "q_norm.weight" : "lambda_q1");
  const int64_t head = (c.block.attention.differential ? 2 : 1) * shapes.rows(measure);
  if (head == 0 || draft.attention_width % head != 0)
    fail("shapes", "{}: heads of {} do not divide the attention's width {}", place, head,
         draft.attention_width);
  draft.settle("num_heads", draft.config.block.attention.num_heads, draft.attention_width / head,
               c.block.attention.qk_norm ? "shapes (attn.q_norm)" : "shapes (attn.lambda_q1)");
}

void read_block(ConfigDraft& draft, const Shapes& shapes, const TensorSource& tensors) {
  VitConfig& c = draft.config;
  const BlockNames names = read_branches(c, shapes);
  read_attention(draft, shapes, names.attention, tensors.place());
  if (const auto heads = tensors.metadata().find(kJaxHeads); heads != tensors.metadata().end())
    draft.settle("num_heads", draft.config.block.attention.num_heads,
                 static_cast<int64_t>(std::stoll(heads->second)), "shapes (the kernel of q)");
  c.block.mlp.hidden_norm = shapes.has(names.mlp + "norm.weight");
  c.block.layer_scale = shapes.has(names.scale);
  c.block.mlp.hidden = shapes.columns(names.mlp + "fc2.weight");
  if (shapes.has(names.mlp + "fc1_g.weight")) {
    c.block.mlp.kind = MlpKind::gated_split;
    c.block.mlp.bias = shapes.has(names.mlp + "fc1_g.bias");
  } else {
    c.block.mlp.kind = shapes.rows(names.mlp + "fc1.weight") == 2 * c.block.mlp.hidden
                           ? MlpKind::gated_packed
                           : MlpKind::plain;
    c.block.mlp.bias = shapes.has(names.mlp + "fc1.bias");
  }
  // One norm for both is a parallel block's.
  const bool parallel = shapes.has("blocks.0.norm1.weight") && !shapes.has("blocks.0.norm2.weight");
  c.block.norms = parallel ? NormPlacement::parallel : NormPlacement::pre;
  if (parallel) c.block.mlp.output_bias = !c.block.mlp.bias || shapes.has(names.mlp + "fc2.bias");
  read_norm(draft, shapes, names.norm);
}

// A table by relative position at `table`, or a network at `mlp`.
RelativePosition read_relative(ConfigDraft& draft, const Shapes& shapes, const std::string& table,
                               const std::string& mlp) {
  RelativeConfig& relative = draft.config.relative;
  int64_t heads = 0;
  RelativePosition kind = RelativePosition::none;
  if (shapes.has(table)) {
    kind = RelativePosition::table;
    draft.relative_rows = shapes.rows(table);
    // Offsets are (2h - 1)(2w - 1), an odd number; three more entries make it even.
    relative.table.prefix_has_entries = draft.relative_rows % 2 == 0;
    heads = shapes.columns(table);
  } else if (shapes.has(mlp + ".fc1.weight")) {
    kind = shapes.has(mlp + ".fc2.bias") ? RelativePosition::mlp : RelativePosition::mlp_swin;
    relative.network.hidden_dim = shapes.rows(mlp + ".fc1.weight");
    heads = shapes.rows(mlp + ".fc2.weight");
  }
  if (heads > 0)
    draft.settle("num_heads", draft.config.block.attention.num_heads, heads,
                 "shapes (relative positions)");
  return kind;
}

void read_attention_positions(ConfigDraft& draft, const Shapes& shapes, const std::string& place) {
  VitConfig& c = draft.config;
  c.relative.per_block = read_relative(draft, shapes, "blocks.0.attn.relative_position_bias_table",
                                       "blocks.0.attn.rel_pos.mlp");
  c.relative.shared = read_relative(draft, shapes, "rel_pos_bias.relative_position_bias_table",
                                    "shared_rel_pos.mlp");
  if (const TensorInfo* mixed = shapes.find("rope.freqs")) {
    if (mixed->shape.rank() != 4)
      fail("shapes", "{}: 'rope.freqs' is {}; frequencies of heads are [2, depth, H, d/2]", place,
           mixed->shape.str());
    c.rotary = {.kind = Rotary::mixed, .base = 10, .column_first = true};
    draft.settle("num_heads", draft.config.block.attention.num_heads, mixed->shape[2],
                 "shapes (rope.freqs)");
  }
  c.rotary.stored_periods = shapes.has("rope.periods");
  if (!c.rotary.stored_periods) return;
  const int64_t head = 4 * shapes.rows("rope.periods");
  if (draft.attention_width % head != 0)
    fail("shapes", "{}: heads of {} do not divide the attention's width {}", place, head,
         draft.attention_width);
  draft.settle("num_heads", draft.config.block.attention.num_heads, draft.attention_width / head,
               "shapes (rope.periods)");
}

void read_head(ConfigDraft& draft, const Shapes& shapes) {
  VitConfig& c = draft.config;
  c.final_norm = shapes.has("norm.weight");
  c.head.norm = shapes.has("fc_norm.weight");
  c.head.pre_logits_dim =
      shapes.has("pre_logits.fc.weight") ? shapes.rows("pre_logits.fc.weight") : 0;
  c.num_classes = shapes.has("head.weight") ? shapes.rows("head.weight") : 0;
  c.head.bias = c.num_classes == 0 || shapes.has("head.bias");
  Pooling& pooling = draft.config.head.pooling;
  if (shapes.has("attn_pool.latent")) {
    c.head.pooling = Pooling::map;
    // Over every token, where there are others than patches: no name says it.
    if (c.prefix_tokens() == 0) draft.settle("pooling", pooling, Pooling::map, "names");
    c.head.map.mlp_hidden_dim = shapes.rows("attn_pool.mlp.fc1.weight");
  }
  if (shapes.has("head_dist.weight")) draft.settle("pooling", pooling, Pooling::distilled, "names");
  if (c.num_classes > 0 && c.head.pre_logits_dim == 0 &&
      shapes.columns("head.weight") == 2 * c.embed_dim)
    draft.settle("pooling", pooling, Pooling::class_and_mean, "shapes (head)");
}

}  // namespace

// Columns of a linear patch embedding are height times width times channels. Pictures are grey or
// RGB and patches square, and three is no square, so at most one patch fits; but grey patches of 16
// are as long as patches of 8 in four channels. (Of 8 grey pixels and less, those would have 4 and
// less: nobody's.)
void settle_patches(ConfigDraft& draft) {
  VitConfig& c = draft.config;
  constexpr int64_t kSmallestTwin = 8;
  const bool said = !draft.is_open("in_channels");
  if (!draft.is_open("patch_height") || !draft.is_open("patch_width")) {
    const int64_t pixels = c.patches.patch_height * c.patches.patch_width;
    if (!said && pixels > 0 && draft.patch_columns % pixels == 0)
      draft.settle("in_channels", draft.config.in_channels, draft.patch_columns / pixels, "shapes");
    return;
  }
  bool twins = false;
  for (const int64_t channels : said ? std::vector{c.in_channels} : std::vector<int64_t>{1, 3}) {
    if (channels < 1 || draft.patch_columns % channels != 0) continue;
    const int64_t pixels = draft.patch_columns / channels;
    const auto side = static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(pixels))));
    if (side < 1 || side * side != pixels) continue;
    if (!said && channels == 1 && side % 2 == 0 && side >= kSmallestTwin) {
      twins = true;
      continue;
    }
    const std::string source =
        said ? "shapes"
             : fmt::format("shapes (square patches, {})", channels == 1 ? "grey" : "RGB");
    draft.settle("in_channels", draft.config.in_channels, channels, source);
    draft.settle("patch_height", draft.config.patches.patch_height, side, source);
    draft.settle("patch_width", draft.config.patches.patch_width, side, source);
    return;
  }
  // The channels are asked, and settle the patch: it need not be asked, too.
  if (!twins) return;
  draft.open.erase("patch_height");
  draft.open.erase("patch_width");
}

ConfigDraft draft_from_shapes(const TensorSource& tensors, const Spelling& spelling) {
  const Shapes shapes(tensors, spelling);
  ConfigDraft draft;
  draft.open = {"num_heads", "layer_norm_epsilon", "activation", "pooling", "image_size"};
  VitConfig& c = draft.config;
  read_patches(draft, shapes, tensors.place());
  c.depth = count_blocks(tensors, spelling);
  if (c.depth == 0) fail("shapes", "{}: has no transformer blocks", tensors.place());
  read_block(draft, shapes, tensors);

  c.tokens.class_token = shapes.vectors("cls_token", c.embed_dim) > 0;
  c.tokens.distillation_token = shapes.vectors("dist_token", c.embed_dim) > 0;
  c.tokens.register_tokens = shapes.vectors("reg_token", c.embed_dim);
  draft.position_rows = shapes.vectors("pos_embed", c.embed_dim);
  c.position.kind = draft.position_rows > 0 ? Position::learned : Position::none;
  c.position.prefix = 0;
  c.pre_norm = shapes.has("norm_pre.weight");
  read_attention_positions(draft, shapes, tensors.place());
  read_head(draft, shapes);
  for (const char* field : {"embed_dim", "depth", "mlp_hidden_dim", "mlp", "num_classes"})
    draft.record(field, "shapes");
  return draft;
}

}  // namespace vitrail
