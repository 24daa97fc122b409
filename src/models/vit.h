// VisionTransformer: every ViT, DeiT, DINOv2 and compact transformer, turned into by its
// configuration (Dosovitskiy et al. 2021; Touvron et al. 2021; Oquab et al. 2023; Hassani et al.
// 2021).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/vit_config.h"
#include "nn/block.h"
#include "nn/patch_embedding.h"
#include "nn/pooling.h"
#include "nn/position_embedding.h"
#include "nn/resnet.h"
#include "nn/token_layout.h"

namespace vitrail {

struct VitOutput {
  Variable logits;  // [B, num_classes]; undefined when the model has no head
  // Of the two heads of a model with a distillation token, whose mean `logits` is; else undefined.
  Variable class_logits, distillation_logits;
  Variable pooled;  // [B, pooled_dim]: what the head reads
  Variable tokens;  // [B, N, D] after the final norm
  TokenLayout layout;
};

// How weights are made ready for inference.
struct Packing {
  PrecisionPlan precision = {};
  // One batch will run and no more: f32 projections are read where they are, a panel at a time,
  // which costs that batch less than packing costs the start.
  bool single_pass = false;
};

class VisionTransformer {
 public:
  // Parameters have no values yet: initialise() them or load a checkpoint. Error: the config's.
  explicit VisionTransformer(VisionTransformerConfig config);

  const VisionTransformerConfig& config() const { return config_; }
  ParameterRegistry& parameters() { return *registry_; }
  const ParameterRegistry& parameters() const { return *registry_; }

  // images [B, C, H, W] f32, normalised. H and W need not be the config's: position tables follow.
  // context.observer is told "patch_embed", "tokens" (positions added), "blocks.i", "norm",
  // "pooled" and "head". Attention layers are "blocks.i.attn" to a probe.
  // Error: channels or size that do not fit.
  VitOutput forward(const Context& context, const Variable& images) const;

  TokenLayout layout(int64_t picture_height, int64_t picture_width) const;

  // The two halves of what forward() does before it pools, for who changes the tokens in between
  // (masked autoencoding): [B, N, D] with positions added; and the blocks with the final norm.
  Variable embed(const Context& context, const Variable& images, const TokenLayout& layout) const;
  Variable encode(const Context& context, Variable tokens) const;

  // The projections of the blocks, in order (qkv, proj, fc1, fc2 of each).
  void visit_linears(const VisitLinear& visit) {
    for (const auto& block : blocks_) block->visit_linears(visit);
  }

  // For inference: packs every projection in its precision, one on each thread, and gives its
  // source back, so that the weights are in memory once. Weights of our own memory cannot be read
  // or saved afterwards. `fill`, where there is one, gives a parameter its value when its turn
  // comes, from any thread; so no more sources than threads are in memory.
  void pack_for_inference(Queue& queue, const Packing& packing = {},
                          const std::function<void(Parameter&)>& fill = nullptr);

 private:
  Variable pool(const Context& context, const Variable& tokens, const TokenLayout& layout) const;
  void classify(const Context& context, VitOutput& output) const;

  VisionTransformerConfig config_;
  std::unique_ptr<ParameterRegistry> registry_;  // outlives the modules that refer into it
  std::optional<PatchEmbed> patch_embed_;
  std::optional<ConvTokenizer> tokenizer_;
  std::optional<ResNet> resnet_;
  Parameter* cls_token_ = nullptr;
  Parameter* dist_token_ = nullptr;
  Parameter* reg_token_ = nullptr;
  std::optional<PositionEmbedding> position_;
  std::optional<LayerNorm> norm_pre_;
  std::vector<std::unique_ptr<Block>> blocks_;
  std::optional<LayerNorm> norm_, fc_norm_;
  std::optional<SequencePool> sequence_pool_;
  std::optional<MapPool> map_pool_;
  LinearSlot pre_logits_, head_, head_dist_;
};

}  // namespace vitrail
