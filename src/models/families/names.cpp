#include "models/families/names.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <span>

#include "core/error.h"
#include "models/families/generations.h"

namespace vitrail {
namespace {

// '@' is the file's prefix and '#' the block; '+' joins the parts that are stacked. Both sides are
// modules: ".weight" and ".bias" follow, or nothing for a bare tensor.
struct Row {
  std::string_view canonical;
  std::array<std::string_view, 3> theirs;  // by generation; empty: as the one before
};

// timm's names are the canonical ones; generation 1 is DeiT-III's own files.
constexpr Row kTimm[] = {
    {"blocks.#.ls1.gamma", {"@blocks.#.ls1.gamma", "@blocks.#.gamma_1"}},
    {"blocks.#.ls2.gamma", {"@blocks.#.ls2.gamma", "@blocks.#.gamma_2"}},
};

constexpr Row kDinov2Rows[] = {
    {"reg_token", {"@register_tokens"}},
    {"blocks.#.mlp.fc1", {"@blocks.#.mlp.fc1", "@blocks.#.mlp.w12"}},
    {"blocks.#.mlp.fc2", {"@blocks.#.mlp.fc2", "@blocks.#.mlp.w3"}},
};

// Generation 1 is the module tree of transformers 5.9 and later, whose files keep the older names.
constexpr Row kHf[] = {
    {"cls_token", {"@embeddings.cls_token"}},
    {"dist_token", {"@embeddings.distillation_token"}},
    {"reg_token", {"@embeddings.register_tokens"}},
    {"mask_token", {"@embeddings.mask_token"}},
    {"pos_embed", {"@embeddings.position_embeddings"}},
    {"patch_embed.proj", {"@embeddings.patch_embeddings.projection"}},
    {"blocks.#.norm1", {"@encoder.layer.#.layernorm_before", "@layers.#.layernorm_before"}},
    {"blocks.#.attn.qkv",
     {"@encoder.layer.#.attention.attention.query+@encoder.layer.#.attention.attention.key+"
      "@encoder.layer.#.attention.attention.value",
      "@layers.#.attention.q_proj+@layers.#.attention.k_proj+@layers.#.attention.v_proj"}},
    {"blocks.#.attn.proj",
     {"@encoder.layer.#.attention.output.dense", "@layers.#.attention.o_proj"}},
    {"blocks.#.norm2", {"@encoder.layer.#.layernorm_after", "@layers.#.layernorm_after"}},
    {"blocks.#.mlp.fc1", {"@encoder.layer.#.intermediate.dense", "@layers.#.mlp.fc1"}},
    {"blocks.#.mlp.fc2", {"@encoder.layer.#.output.dense", "@layers.#.mlp.fc2"}},
    {"norm", {"@layernorm"}},
    {"head", {"classifier"}},
};

constexpr Row kHfDistilledHeads[] = {
    {"head", {"cls_classifier"}},
    {"head_dist", {"distillation_classifier"}},
};

constexpr Row kHfDinov2[] = {
    {"blocks.#.norm1", {"@encoder.layer.#.norm1"}},
    {"blocks.#.norm2", {"@encoder.layer.#.norm2"}},
    {"blocks.#.attn.qkv",
     {"@encoder.layer.#.attention.attention.query+@encoder.layer.#.attention.attention.key+"
      "@encoder.layer.#.attention.attention.value",
      "@encoder.layer.#.attention.q_proj+@encoder.layer.#.attention.k_proj+"
      "@encoder.layer.#.attention.v_proj"}},
    {"blocks.#.attn.proj",
     {"@encoder.layer.#.attention.output.dense", "@encoder.layer.#.attention.o_proj"}},
    {"blocks.#.ls1.gamma", {"@encoder.layer.#.layer_scale1.lambda1"}},
    {"blocks.#.ls2.gamma", {"@encoder.layer.#.layer_scale2.lambda1"}},
    {"blocks.#.mlp.fc1", {"@encoder.layer.#.mlp.fc1"}},
    {"blocks.#.mlp.fc2", {"@encoder.layer.#.mlp.fc2"}},
};

constexpr Row kHfDinov2Gated[] = {
    {"blocks.#.mlp.fc1",
     {"@encoder.layer.#.mlp.weights_in",
      "@encoder.layer.#.mlp.gate_proj+@encoder.layer.#.mlp.up_proj"}},
    {"blocks.#.mlp.fc2", {"@encoder.layer.#.mlp.weights_out", "@encoder.layer.#.mlp.down_proj"}},
};

// Generation 0: norms within the modules; 1: a PreNorm around them.
constexpr Row kVitPytorchRows[] = {
    {"cls_token", {"@cls_token"}},
    {"pos_embed", {"@pos_embedding"}},
    {"blocks.#.norm1", {"@transformer.layers.#.0.norm"}},
    {"blocks.#.attn.qkv", {"@transformer.layers.#.0.to_qkv", "@transformer.layers.#.0.fn.to_qkv"}},
    {"blocks.#.attn.proj",
     {"@transformer.layers.#.0.to_out.0", "@transformer.layers.#.0.fn.to_out.0"}},
    {"blocks.#.norm2", {"@transformer.layers.#.1.net.0", "@transformer.layers.#.1.norm"}},
    {"blocks.#.mlp.fc1", {"@transformer.layers.#.1.net.1", "@transformer.layers.#.1.fn.net.0"}},
    {"blocks.#.mlp.fc2", {"@transformer.layers.#.1.net.4", "@transformer.layers.#.1.fn.net.3"}},
};

// By whether the patch embedding stands between norms, and whether the transformer ends in one.
constexpr Row kVitPytorchNormedPatches[] = {
    {"patch_embed.norm_in", {"@to_patch_embedding.1"}},
    {"patch_embed.proj", {"@to_patch_embedding.2"}},
    {"patch_embed.norm_out", {"@to_patch_embedding.3"}},
};
constexpr Row kVitPytorchPlainPatches[] = {{"patch_embed.proj", {"@to_patch_embedding.1"}}};
constexpr Row kVitPytorchFinalNorm[] = {{"norm", {"@transformer.norm"}}, {"head", {"@mlp_head"}}};
constexpr Row kVitPytorchHeadNorm[] = {{"fc_norm", {"@mlp_head.0"}}, {"head", {"@mlp_head.1"}}};

// What the tables are consulted in, the first hit winning; identity names follow for families
// whose own names are the canonical ones.
struct Tables {
  std::vector<std::span<const Row>> rows;
  bool identity = false;
};

Tables tables_of(const Spelling& s) {
  switch (s.family) {
    case Family::vitrail:
      return {{}, true};
    case Family::timm:
      return {{kTimm}, true};
    case Family::dinov2:
      return {{kDinov2Rows}, true};
    case Family::hf_vit:
      return {{kHf}, false};
    case Family::hf_deit:
      if (s.generation & kPlainDeitHead) return {{kHf}, false};
      return {{kHfDistilledHeads, kHf}, false};
    case Family::hf_dinov2:
      if (s.generation & kGatedMlp) return {{kHfDinov2Gated, kHfDinov2, kHf}, false};
      return {{kHfDinov2, kHf}, false};
    case Family::vit_pytorch: {
      const std::span<const Row> patches = s.generation & kNormedPatches
                                               ? std::span<const Row>(kVitPytorchNormedPatches)
                                               : std::span<const Row>(kVitPytorchPlainPatches);
      const std::span<const Row> ends = s.generation & kHeadNorm
                                            ? std::span<const Row>(kVitPytorchHeadNorm)
                                            : std::span<const Row>(kVitPytorchFinalNorm);
      return {{kVitPytorchRows, patches, ends}, false};
    }
  }
  return {};
}

int column_of(const Spelling& s) {
  if (s.family == Family::dinov2) return s.generation & kGatedMlp ? 1 : 0;
  return s.generation & 1;
}

// "blocks.3.attn.qkv.weight" as "blocks.#.attn.qkv.weight" and "3".
struct Pattern {
  std::string text;
  std::string block;
};
Pattern pattern_of(std::string_view name) {
  constexpr std::string_view kBlocks = "blocks.";
  if (!name.starts_with(kBlocks)) return {std::string(name), ""};
  const size_t end = name.find('.', kBlocks.size());
  if (end == std::string_view::npos) return {std::string(name), ""};
  return {"blocks.#" + std::string(name.substr(end)),
          std::string(name.substr(kBlocks.size(), end - kBlocks.size()))};
}

// Fills in '@' and '#'; a chunked file writes its blocks as CHUNK.INDEX.
std::string filled(std::string_view pattern, const Spelling& s, const std::string& block) {
  std::string name;
  for (const char c : pattern) {
    if (c == '@') {
      name += s.prefix;
    } else if (c == '#') {
      size_t index = 0;
      std::from_chars(block.data(), block.data() + block.size(), index);
      if (index < s.block_chunks.size()) name += std::to_string(s.block_chunks[index]) + ".";
      name += block;
    } else {
      name += c;
    }
  }
  return name;
}

std::vector<std::string> split_parts(std::string_view spelled, std::string_view suffix,
                                     const Spelling& s, const std::string& block) {
  std::vector<std::string> parts;
  while (!spelled.empty()) {
    const size_t plus = spelled.find('+');
    parts.push_back(filled(spelled.substr(0, plus), s, block) + std::string(suffix));
    spelled = plus == std::string_view::npos ? "" : spelled.substr(plus + 1);
  }
  return parts;
}

// Whether `name` is `module` or one of its tensors; gives what follows the module.
std::optional<std::string_view> suffix_after(std::string_view name, std::string_view module) {
  if (!name.starts_with(module)) return std::nullopt;
  const std::string_view rest = name.substr(module.size());
  if (rest.empty() || rest == ".weight" || rest == ".bias") return rest;
  return std::nullopt;
}

// MAE's decoder, which paints the masked patches.
bool is_mae_decoder(std::string_view name) {
  for (const std::string_view part :
       {"decoder_embed.", "decoder_blocks.", "decoder_norm.", "decoder_pred."})
    if (name.starts_with(part)) return true;
  return name == "decoder_pos_embed";
}

}  // namespace

Spelling spelling_for(Family family, const VisionTransformerConfig& config) {
  Spelling s;
  s.family = family;
  const bool base = config.num_classes == 0;
  switch (family) {
    case Family::hf_vit:
      s.prefix = base ? "" : "vit.";
      break;
    case Family::hf_deit:
      s.prefix = base ? "" : "deit.";
      if (config.pooling != Pooling::distilled) s.generation |= kPlainDeitHead;
      break;
    case Family::hf_dinov2:
      s.prefix = base ? "" : config.register_tokens > 0 ? "dinov2_with_registers." : "dinov2.";
      [[fallthrough]];
    case Family::dinov2:
      if (config.mlp != MlpKind::plain) s.generation |= kGatedMlp;
      break;
    case Family::vit_pytorch:
      if (config.patch_norm) s.generation |= kNormedPatches;
      if (config.fc_norm) s.generation |= kHeadNorm;
      break;
    case Family::timm:
    case Family::vitrail:
      break;
  }
  return s;
}

Spelling respelled(Spelling today, const Spelling& other) {
  // The lowest bit alone is a matter of age; the others follow from the model.
  static_assert(kNewModules == 1 && kPreNormModules == 1 && kGammaNames == 1);
  today.generation = (today.generation & ~1) | (other.generation & 1);
  today.prefix = other.prefix;
  today.block_chunks = other.block_chunks;
  return today;
}

std::string to_words(const Spelling& s) {
  return fmt::format("{} {} {}", name_of(s.family), s.generation, s.prefix);
}

std::optional<Spelling> spelling_from_words(const std::string& words) {
  constexpr size_t kMaxWords = 200;
  const size_t first = words.find(' ');
  if (words.size() > kMaxWords || first == std::string::npos || first + 2 >= words.size() + 1 ||
      words.find(' ', first + 1) != first + 2)
    return std::nullopt;
  for (const Family family : {Family::timm, Family::hf_vit, Family::hf_deit, Family::hf_dinov2,
                              Family::dinov2, Family::vit_pytorch, Family::vitrail}) {
    if (words.substr(0, first) != name_of(family)) continue;
    const int generation = words[first + 1] - '0';
    if (generation < 0 || generation > 7) return std::nullopt;
    return Spelling{family, words.substr(first + 3), generation, {}};
  }
  return std::nullopt;
}

std::vector<std::string> names_in(const Spelling& spelling, std::string_view name) {
  const Pattern pattern = pattern_of(name);
  const Tables tables = tables_of(spelling);
  const int column = column_of(spelling);
  for (const std::span<const Row> rows : tables.rows)
    for (const Row& row : rows)
      if (const auto suffix = suffix_after(pattern.text, row.canonical)) {
        const std::string_view spelled =
            row.theirs[column].empty() ? row.theirs[0] : row.theirs[column];
        return split_parts(spelled, *suffix, spelling, pattern.block);
      }
  if (!tables.identity) return {};
  return {filled("@" + pattern.text, spelling, pattern.block)};
}

bool is_ambiguous(const Spelling& s) {
  return s.family == Family::vit_pytorch && (s.generation & kPreNormModules) == 0 &&
         (s.generation & kHeadNorm) != 0 && (s.generation & kNormedPatches) != 0;
}

bool is_left_out(const Spelling& s, std::string_view name) {
  if (!name.starts_with(s.prefix)) return false;
  const std::string_view own = name.substr(s.prefix.size());
  switch (s.family) {
    case Family::hf_vit:
    case Family::hf_deit:
    case Family::hf_dinov2:
      return own == "embeddings.mask_token" || own == "pooler.dense.weight" ||
             own == "pooler.dense.bias";
    case Family::dinov2:
    case Family::vitrail:  // kept for the family it came from
      return own == "mask_token";
    case Family::timm:
      return own == "mask_token" || own == "masked_embed" || is_mae_decoder(own);
    case Family::vit_pytorch:
      return false;
  }
  return false;
}

int64_t count_blocks(const TensorSource& tensors, const Spelling& spelling) {
  int64_t blocks = 0;
  while (true) {
    const auto names = names_in(spelling, "blocks." + std::to_string(blocks) + ".attn.qkv.weight");
    if (names.empty() || !tensors.contains(names.front())) return blocks;
    ++blocks;
  }
}

}  // namespace vitrail
