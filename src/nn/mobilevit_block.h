// The block of MobileViT: convolutions see the neighbours, a transformer sees, for each place
// within a patch, the pixels at that place of all patches (Mehta and Rastegari 2022, section 3.1;
// version 2 with attention of linear cost, section 3 of "Separable self-attention").
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nn/block.h"
#include "nn/normed_convolution.h"
#include "nn/position/grid_cache.h"
#include "nn/separable_attention.h"

namespace vitrail {

// What becomes of a map whose sides are no multiples of the patch.
enum class PatchFit : uint8_t {
  resized_back,  // it is resized for the transformer, and back behind it (version 1)
  resized,       // it is resized before the block, corners aligned, and stays so (timm's version 2)
  cut            // what is behind the last whole patch counts as zeros (transformers' version 2)
};

struct MobileVitBlockConfig {
  bool separable = false;  // version 2: attention of linear cost, GroupNorm, no fusion
  int64_t channels = 0;
  int64_t embed_dim = 0, depth = 0, num_heads = 1, mlp_hidden = 0;  // of the transformer
  bool qkv_bias = true;
  int64_t patch = 2;
  PatchFit fit = PatchFit::resized_back;
  int64_t kernel = 3;  // odd
  kernels::Activation activation = kernels::Activation::silu;
  double epsilon = 1e-5;
  // Of the branches' outputs; of what an MLP activates; of attention weights.
  double dropout = 0, mlp_dropout = 0, attention_dropout = 0;
  double drop_path = 0;
};

class PatchTransformer;

class MobileVitBlock {
 public:
  // Parameters: conv_kxk.{conv, bn}.*, conv_1x1.weight, transformer.k.*, norm.*, conv_proj.{conv,
  // bn}.*, and conv_fusion.{conv, bn}.* of version 1.
  MobileVitBlock(const Scope& scope, const MobileVitBlockConfig& config);
  ~MobileVitBlock();
  // x [B, H, W, channels] to [B, cells(H), cells(W), channels]. Error: a map that is smaller than a
  // patch and would be cut.
  Variable forward(const Context& context, const Variable& x) const;
  // Of the map behind the block.
  int64_t cells(int64_t side) const;
  // Of the map that the transformer reads.
  int64_t patched(int64_t side) const;
  void count(CostCounter& counter, int64_t height, int64_t width) const;
  const std::string& path() const { return path_; }
  // The attention whose rows can be asked for; none in version 2.
  std::vector<std::string> attentions() const;
  void visit_linears(const VisitLinear& visit);

 private:
  Variable fitted(const Context& context, const Variable& x, bool align_corners) const;

  MobileVitBlockConfig config_;
  std::string path_;
  NormedConvolution conv_kxk_;
  LinearSlot conv_1x1_;
  std::unique_ptr<PatchTransformer> transformer_;
  NormedConvolution conv_proj_;
  std::optional<NormedConvolution> conv_fusion_;
};

}  // namespace vitrail
