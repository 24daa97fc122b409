#include "models/families/reading/closed_tensors.h"

#include <algorithm>
#include <array>
#include <set>

#include "core/error.h"
#include "core/printable.h"
#include "models/families/family.h"

namespace vitrail {
namespace {

// Canonical modules (models/vit_config.h) of the models that other libraries write.
constexpr const char* kModules[] = {
    "cls_token",
    "dist_token",
    "reg_token",
    "mask_token",
    "pos_embed",
    "patch_embed.norm_in",
    "patch_embed.proj",
    "patch_embed.norm_out",
    "patch_embed.norm",
    "norm_pre",
    "norm",
    "fc_norm",
    "attn_pool.latent",
    "attn_pool.q",
    "attn_pool.kv",
    "attn_pool.proj",
    "attn_pool.norm",
    "attn_pool.mlp.fc1",
    "attn_pool.mlp.fc2",
    "head",
    "head_dist",
    "rope.freqs",
    "rope.periods",
    "rel_pos_bias.relative_position_bias_table",
    "shared_rel_pos.mlp.fc1",
    "shared_rel_pos.mlp.fc2",
};
constexpr const char* kBlockModules[] = {
    "norm1",
    "attn.qkv",
    "attn.q_norm",
    "attn.k_norm",
    "attn.lambda_q1",
    "attn.lambda_k1",
    "attn.lambda_q2",
    "attn.lambda_k2",
    "attn.sub_norm",
    "attn.reattn_weights",
    "attn.reattn_norm",
    "attn.norm",
    "attn.proj",
    "ls1.gamma",
    "norm2",
    "mlp.fc1",
    "mlp.fc1_g",
    "mlp.fc1_x",
    "mlp.norm",
    "mlp.fc2",
    "ls2.gamma",
    "attn.q_bias",
    "attn.v_bias",
    "attn.relative_position_bias_table",
    "attn.rel_pos.mlp.fc1",
    "attn.rel_pos.mlp.fc2",
};

// Parts of names, and whose they are.
constexpr std::pair<std::string_view, const char*> kElsewhere[] = {
    {"bias_mask", "DINOv3"},
    {"storage_tokens", "DINOv3"},
    {"detection_tokens", "a model that detects objects, as YOLOS"},
    {"rope", "a model with rotary positions"},
    {"relative_position", "a model with relative positions, as BEiT and Swin"},
    {"rel_pos", "a model with relative positions"},
    {"rpb", "a model with relative positions"},
    {"q_bias", "a model with biases of q and v alone, as BEiT and EVA"},
    {"lambda_a", "a model whose differential attention has one number for each map"},
    {"lambda_q", "a model with differential attention"},
    {"q_norm.gamma", "a model with norms of queries and keys that every head has of its own"},
    {"to_residual_mix", "a model that mixes the values of the first block into the others"},
    {"static_beta", "a model with hyper-connections"},
    {"to_freq_embedding", "a model that embeds frequencies of the picture, too"},
    {"jumbo_", "vit-pytorch's JumboViT, whose class token is wider than the others"},
    {".options.WA.", "vit-pytorch's JetViT, which chooses among kinds of attention"},
    {"looped.", "a model that runs its blocks several times"},
    {"post_norms.", "a model with norms behind a scaled residual stream (KEEL)"},
    {"rotary_emb.", "vit-pytorch's ViT-5, with rotary positions of registers"},
    {"transformer.pos_emb.scales", "vit-pytorch's RvT, with rotary positions of its own"},
    {"patch_merger.", "a model that merges its patches (PatchMerger)"},
    {"sm_image_embedder", "vit-pytorch's CrossViT, with two branches of patches"},
    {"xcit_transformer", "vit-pytorch's XCiT, with attention over channels"},
    {".1.fn.fn.net.", "vit-pytorch's LocalViT, with convolutions in its MLP"},
    {"to_pixels", "vit-pytorch's MAE or SimMIM, which train an encoder that is saved by itself"},
    {"head.0.running_", "a head behind batch normalisation of another form than MAE's"},
    {"downsample", "a model with a pyramid of stages, as Swin"},
    {"patch_embed.norm.", "a model with a norm behind the patch embedding, as Swin"},
    {"mlp.w1.", "a model with another gated MLP, as EVA-02 and DINOv3"},
};

// Modules of a block's branches, as many as the file has.
template <typename Add>
void add_branches(const TensorSource& tensors, const Spelling& spelling, const std::string& block,
                  const Add& add) {
  for (int64_t i = 0;; ++i) {
    const std::string attention = block + "attns." + std::to_string(i) + ".";
    const auto weight = names_in(spelling, attention + "attn.qkv.weight");
    if (weight.empty() || !tensors.contains(weight.front())) return;
    for (const std::string& branch : {attention, block + "ffns." + std::to_string(i) + "."}) {
      for (const char* module : kBlockModules) add(branch + module);
      for (const char* module : {"norm", "ls.gamma"}) add(branch + module);
    }
  }
}

// Whether the name stands below one of the modules that end with a point.
bool is_below(const std::string& name, const Spelling& spelling,
              std::span<const std::string_view> modules) {
  return std::ranges::any_of(modules, [&](std::string_view module) {
    return module.ends_with('.') && name.starts_with(spelling.prefix + std::string(module));
  });
}

std::set<std::string> places(const TensorSource& tensors, const Spelling& spelling,
                             std::span<const std::string_view> more_modules) {
  std::set<std::string> names;
  const auto add = [&](const std::string& module) {
    for (const char* suffix : {"", ".weight", ".bias"})
      for (std::string& name : names_in(spelling, module + suffix)) names.insert(std::move(name));
  };
  for (const char* module : kModules) add(module);
  for (const std::string_view module : more_modules) add(std::string(module));
  const int64_t blocks = count_blocks(tensors, spelling);
  for (int64_t i = 0; i < blocks; ++i) {
    const std::string block = "blocks." + std::to_string(i) + ".";
    for (const char* module : kBlockModules) add(block + module);
    add_branches(tensors, spelling, block, add);
  }
  return names;
}

void refuse_several_class_tokens(const TensorSource& tensors, const Spelling& spelling) {
  const auto names = names_in(spelling, "cls_token");
  const TensorInfo* info = names.empty() ? nullptr : tensors.find(names.front());
  if (info != nullptr && info->shape.rank() > 0 && info->shape.numel() > info->shape[-1])
    fail(ErrorCode::unsupported, "model",
         "{}: '{}' is {}, of a model with several class tokens, as Pixio, which Vitrail does not "
         "implement",
         tensors.place(), printable(names.front()), info->shape.str());
}

}  // namespace

void refuse_strange_tensors(const TensorSource& tensors, const Spelling& spelling,
                            std::span<const std::string_view> more_modules) {
  refuse_several_class_tokens(tensors, spelling);
  const std::set<std::string> known = places(tensors, spelling, more_modules);
  std::string strange;
  for (const std::string& name : tensors.names()) {
    if (known.contains(name) || is_left_out(spelling, name)) continue;
    if (is_below(name, spelling, more_modules)) continue;  // compared with the model's own later
    if (tensors.info(name).shape.numel() == 0) continue;
    for (const auto& [part, whose] : kElsewhere)
      if (name.find(part) != std::string::npos)
        fail(ErrorCode::unsupported, "model",
             "{}: holds '{}', of {}, which Vitrail does not implement", tensors.place(),
             printable(name), whose);
    if (strange.empty()) strange = name;
  }
  if (!strange.empty())
    fail("model", "{}: holds '{}', which a {} model has no place for", tensors.place(),
         printable(strange), name_of(spelling.family));
}

}  // namespace vitrail
