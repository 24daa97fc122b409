// The Pyramid Vision Transformer, version 2 (Wang et al. 2022): four stages, each with half the
// grid of the one before and wider tokens; keys and values are reduced, positions come from the
// convolutions alone.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/backbone.h"
#include "models/picture_network_config.h"
#include "nn/depthwise_mlp.h"
#include "nn/overlap_embedding.h"
#include "nn/reduced_attention.h"

namespace vitrail {

// Canonical parameter names are timm's: patch_embed.*, stages.i.{downsample.*, blocks.j.{norm1,
// attn, norm2, mlp}.*, norm.*}, head.*.
struct PvtV2Config : PictureNetworkConfig {
  static constexpr std::string_view kType = "pvt_v2";

  // Of each stage; all lists are as long.
  std::vector<int64_t> depths{3, 4, 6, 3}, embed_dims{64, 128, 320, 512}, num_heads{1, 2, 5, 8};
  std::vector<int64_t> reductions{8, 4, 2, 1};  // of keys and values, along each side of the grid
  std::vector<int64_t> mlp_hidden_dims{512, 1024, 1280, 2048};
  std::vector<int64_t> patch_sizes{7, 3, 3, 3}, strides{4, 2, 2, 2};  // of the embeddings
  bool linear_attention = false;  // keys and values averaged to 7x7, instead of reductions
  bool qkv_bias = true;
  kernels::Activation activation = kernels::Activation::gelu;
  double layer_norm_epsilon = 1e-6;  // of blocks and stages
  double inner_norm_epsilon = 1e-5;  // of embeddings and reductions
  double dropout = 0, attention_dropout = 0;

  int64_t num_blocks() const;
  void set_image_size(int64_t height, int64_t width) { resize_pictures(*this, height, width); }
  // Error naming the field that is out of range or contradicts another.
  void validate() const;
  bool operator==(const PvtV2Config&) const = default;
};

// As of PictureNetworkConfig.
void write_fields(const PvtV2Config& config, nlohmann::json& out);
PvtV2Config pvt_v2_config_from_json(const nlohmann::json& json);
void set_field(PvtV2Config& config, const std::string& name, const std::string& value);
std::shared_ptr<Network> make_network(const PvtV2Config& config);

class PvtV2Block;

class PvtV2Backbone : public Backbone {
 public:
  // config is one that validate() accepts.
  PvtV2Backbone(const Scope& root, const PvtV2Config& config);
  ~PvtV2Backbone() override;

  // A feature a stage. The observer is told "patch_embed", "stages.i.blocks.j" and "stages.i",
  // after its norm.
  std::vector<Feature> forward(const Context& context, const Variable& images) const override;
  std::vector<TokenLayout> layouts(int64_t picture_height, int64_t picture_width) const override;
  int64_t embed_dim() const override;
  std::vector<BlockPlace> blocks() const override;
  std::vector<AttentionLayer> attentions() const override;
  AttentionGrids attention_grids(const AttentionLayer& layer, int64_t picture_height,
                                 int64_t picture_width) const override;
  void visit_linears(const VisitLinear& visit) override;
  void count(CostCounter& counter, int64_t picture_height, int64_t picture_width) const override;

 private:
  struct Stage {
    std::string path;
    std::optional<OverlapEmbedding> downsample;
    std::vector<std::unique_ptr<PvtV2Block>> blocks;
    std::optional<LayerNorm> norm;
  };
  int64_t in_channels_;
  OverlapEmbedding patch_embed_;
  std::vector<Stage> stages_;
  int64_t embed_dim_;
};

}  // namespace vitrail
