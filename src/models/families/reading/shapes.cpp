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

void read_patches(ConfigDraft& draft, const Shapes& shapes, const std::string& place) {
  VisionTransformerConfig& c = draft.config;
  const TensorInfo* patches = shapes.find("patch_embed.proj.weight");
  if (patches == nullptr) fail("shapes", "{}: has no patch embedding", place);
  const Shape& shape = patches->shape;
  if (shape.numel() == 0 || (shape.rank() != 4 && shape.rank() != 2))
    fail("shapes",
         "{}: the patch embedding is {}; a convolution [D, C, ph, pw] or a matrix "
         "[D, ph*pw*C] is needed",
         place, shape.str());
  c.embed_dim = shape[0];
  c.patch_bias = shapes.has("patch_embed.proj.bias");
  c.patch_norm = shapes.has("patch_embed.norm_in.weight");
  c.patch_output_norm = shapes.has("patch_embed.norm.weight");
  if (shape.rank() == 4) {
    c.patch_embedding = PatchEmbedding::convolution;
    c.in_channels = shape[1];
    c.patch_height = shape[2];
    c.patch_width = shape[3];
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

void read_block(ConfigDraft& draft, const Shapes& shapes, const TensorSource& tensors) {
  const std::string& place = tensors.place();
  VisionTransformerConfig& c = draft.config;
  const std::string block = "blocks.0.";
  const int64_t rows = shapes.rows(block + "attn.qkv.weight");
  if (rows % 3 != 0)
    fail("shapes", "{}: q, k and v have {} rows together, not a multiple of three", place, rows);
  draft.attention_width = rows / 3;
  // q and v may have biases of their own, and k none.
  const bool whole_bias = shapes.has_whole(block + "attn.qkv.bias");
  const bool key_has_none = shapes.has(block + "attn.q_bias");
  c.qkv_bias = key_has_none || shapes.has(block + "attn.qkv.bias");
  c.key_bias = whole_bias || !key_has_none;
  c.attention_projection = shapes.has(block + "attn.proj.weight");
  c.projection_bias = !c.attention_projection || shapes.has(block + "attn.proj.bias");
  c.qk_norm = shapes.has(block + "attn.q_norm.weight");
  if (shapes.has(block + "attn.reattn_weights")) c.head_mixing = HeadMixingKind::reattention;
  c.attention_norm = shapes.has(block + "attn.norm.weight");
  c.mlp_norm = shapes.has(block + "mlp.norm.weight");
  c.layer_scale = shapes.has(block + "ls1.gamma");
  if (c.qk_norm) {
    const int64_t head = shapes.rows(block + "attn.q_norm.weight");
    if (draft.attention_width % head != 0)
      fail("shapes", "{}: heads of {} do not divide the attention's width {}", place, head,
           draft.attention_width);
    draft.settle("num_heads", &VisionTransformerConfig::num_heads, draft.attention_width / head,
                 "shapes (attn.q_norm)");
  }
  if (const auto heads = tensors.metadata().find(kJaxHeads); heads != tensors.metadata().end())
    draft.settle("num_heads", &VisionTransformerConfig::num_heads,
                 static_cast<int64_t>(std::stoll(heads->second)), "shapes (the kernel of q)");
  c.mlp_hidden_dim = shapes.columns(block + "mlp.fc2.weight");
  if (shapes.has(block + "mlp.fc1_g.weight")) {
    c.mlp = MlpKind::gated_split;
    c.mlp_bias = shapes.has(block + "mlp.fc1_g.bias");
  } else {
    c.mlp = shapes.rows(block + "mlp.fc1.weight") == 2 * c.mlp_hidden_dim ? MlpKind::gated_packed
                                                                          : MlpKind::plain;
    c.mlp_bias = shapes.has(block + "mlp.fc1.bias");
  }
  c.norm_placement = NormPlacement::pre;
  read_norm(draft, shapes, block + "norm1");
}

// A table by relative position at `table`, or a network at `mlp`.
RelativePosition read_relative(ConfigDraft& draft, const Shapes& shapes, const std::string& table,
                               const std::string& mlp) {
  RelativeSettings& relative = draft.config.relative;
  int64_t heads = 0;
  RelativePosition kind = RelativePosition::none;
  if (shapes.has(table)) {
    kind = RelativePosition::table;
    draft.relative_rows = shapes.rows(table);
    // Offsets are (2h - 1)(2w - 1), an odd number; three more entries make it even.
    relative.prefix_entries = draft.relative_rows % 2 == 0;
    heads = shapes.columns(table);
  } else if (shapes.has(mlp + ".fc1.weight")) {
    kind = shapes.has(mlp + ".fc2.bias") ? RelativePosition::mlp : RelativePosition::mlp_swin;
    relative.hidden_dim = shapes.rows(mlp + ".fc1.weight");
    heads = shapes.rows(mlp + ".fc2.weight");
  }
  if (heads > 0)
    draft.settle("num_heads", &VisionTransformerConfig::num_heads, heads,
                 "shapes (relative positions)");
  return kind;
}

void read_attention_positions(ConfigDraft& draft, const Shapes& shapes, const std::string& place) {
  VisionTransformerConfig& c = draft.config;
  c.relative.per_block = read_relative(draft, shapes, "blocks.0.attn.relative_position_bias_table",
                                       "blocks.0.attn.rel_pos.mlp");
  c.relative.shared = read_relative(draft, shapes, "rel_pos_bias.relative_position_bias_table",
                                    "shared_rel_pos.mlp");
  if (const TensorInfo* mixed = shapes.find("rope.freqs")) {
    if (mixed->shape.rank() != 4)
      fail("shapes", "{}: 'rope.freqs' is {}; frequencies of heads are [2, depth, H, d/2]", place,
           mixed->shape.str());
    c.rotary = {.kind = Rotary::mixed, .base = 10, .column_first = true};
    draft.settle("num_heads", &VisionTransformerConfig::num_heads, mixed->shape[2],
                 "shapes (rope.freqs)");
  }
  c.rotary.stored_periods = shapes.has("rope.periods");
  if (!c.rotary.stored_periods) return;
  const int64_t head = 4 * shapes.rows("rope.periods");
  if (draft.attention_width % head != 0)
    fail("shapes", "{}: heads of {} do not divide the attention's width {}", place, head,
         draft.attention_width);
  draft.settle("num_heads", &VisionTransformerConfig::num_heads, draft.attention_width / head,
               "shapes (rope.periods)");
}

void read_head(ConfigDraft& draft, const Shapes& shapes) {
  VisionTransformerConfig& c = draft.config;
  c.final_norm = shapes.has("norm.weight");
  c.fc_norm = shapes.has("fc_norm.weight");
  c.pre_logits_dim = shapes.has("pre_logits.fc.weight") ? shapes.rows("pre_logits.fc.weight") : 0;
  c.num_classes = shapes.has("head.weight") ? shapes.rows("head.weight") : 0;
  c.head_bias = c.num_classes == 0 || shapes.has("head.bias");
  constexpr auto kPooling = &VisionTransformerConfig::pooling;
  if (shapes.has("attn_pool.latent")) {
    c.pooling = Pooling::map;
    // Over every token, where there are others than patches: no name says it.
    if (c.prefix_tokens() == 0) draft.settle("pooling", kPooling, Pooling::map, "names");
    c.pool_mlp_hidden_dim = shapes.rows("attn_pool.mlp.fc1.weight");
  }
  if (shapes.has("head_dist.weight"))
    draft.settle("pooling", kPooling, Pooling::distilled, "names");
  if (c.num_classes > 0 && c.pre_logits_dim == 0 &&
      shapes.columns("head.weight") == 2 * c.embed_dim)
    draft.settle("pooling", kPooling, Pooling::class_and_mean, "shapes (head)");
}

}  // namespace

// Columns of a linear patch embedding are height times width times channels. Pictures are grey or
// RGB and patches square, and three is no square, so at most one patch fits; but grey patches of 16
// are as long as patches of 8 in four channels. (Of 8 grey pixels and less, those would have 4 and
// less: nobody's.)
void settle_patches(ConfigDraft& draft) {
  VisionTransformerConfig& c = draft.config;
  constexpr int64_t kSmallestTwin = 8;
  const bool said = !draft.is_open("in_channels");
  if (!draft.is_open("patch_height") || !draft.is_open("patch_width")) {
    const int64_t pixels = c.patch_height * c.patch_width;
    if (!said && pixels > 0 && draft.patch_columns % pixels == 0)
      draft.settle("in_channels", &VisionTransformerConfig::in_channels,
                   draft.patch_columns / pixels, "shapes");
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
    draft.settle("in_channels", &VisionTransformerConfig::in_channels, channels, source);
    draft.settle("patch_height", &VisionTransformerConfig::patch_height, side, source);
    draft.settle("patch_width", &VisionTransformerConfig::patch_width, side, source);
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
  VisionTransformerConfig& c = draft.config;
  read_patches(draft, shapes, tensors.place());
  c.depth = count_blocks(tensors, spelling);
  if (c.depth == 0) fail("shapes", "{}: has no transformer blocks", tensors.place());
  read_block(draft, shapes, tensors);

  c.class_token = shapes.vectors("cls_token", c.embed_dim) > 0;
  c.distillation_token = shapes.vectors("dist_token", c.embed_dim) > 0;
  c.register_tokens = shapes.vectors("reg_token", c.embed_dim);
  draft.position_rows = shapes.vectors("pos_embed", c.embed_dim);
  c.position = draft.position_rows > 0 ? Position::learned : Position::none;
  c.position_prefix = 0;
  c.pre_norm = shapes.has("norm_pre.weight");
  read_attention_positions(draft, shapes, tensors.place());
  read_head(draft, shapes);
  for (const char* field : {"embed_dim", "depth", "mlp_hidden_dim", "mlp", "num_classes"})
    draft.record(field, "shapes");
  return draft;
}

}  // namespace vitrail
