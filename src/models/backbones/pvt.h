// The Pyramid Vision Transformer, version 1 (Wang et al. 2021): stages of patches that do not
// overlap, each with a table of positions; keys and values are reduced. The last stage has a class
// token. Of one size of pictures: its library has no rule for another.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/backbone.h"
#include "models/picture_network_config.h"
#include "nn/norm.h"
#include "nn/overlap_embedding.h"

namespace vitrail {

// Canonical parameter names: stages.i.{patch_embed.{proj, norm}, pos_embed, cls_token,
// blocks.j.{norm1, attn, norm2, mlp}}.*, norm.*, head.*.
struct PvtConfig : PictureNetworkConfig {
  static constexpr std::string_view kType = "pvt";

  // Of each stage; all lists are as long.
  std::vector<int64_t> depths{2, 2, 2, 2}, embed_dims{64, 128, 320, 512}, num_heads{1, 2, 5, 8};
  std::vector<int64_t> reductions{8, 4, 2, 1};  // of keys and values, along each side of the grid
  std::vector<int64_t> mlp_hidden_dims{512, 1024, 1280, 2048};
  std::vector<int64_t> patch_sizes{4, 2, 2, 2};
  bool qkv_bias = true;
  Activation activation = Activation::gelu;
  double layer_norm_epsilon = 1e-6;

  int64_t num_blocks() const;
  void set_image_size(int64_t height, int64_t width);
  // Error naming the field that is out of range or contradicts another.
  void validate() const;
  bool operator==(const PvtConfig&) const = default;
};

// As of PictureNetworkConfig.
void write_fields(const PvtConfig& config, nlohmann::json& out);
PvtConfig pvt_config_from_json(const nlohmann::json& json);
void set_field(PvtConfig& config, const std::string& name, const std::string& value);
std::shared_ptr<Network> make_network(const PvtConfig& config);

class PvtBlock;

class PvtBackbone : public Backbone {
 public:
  // config is one that validate() accepts.
  PvtBackbone(const Scope& root, const PvtConfig& config);
  ~PvtBackbone() override;

  // A feature a stage; the last one with its class token, and behind the norm. The observer is told
  // "stages.i.patch_embed", "stages.i.blocks.j" and "stages.i".
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
    TokenLayout layout;
    std::optional<OverlapEmbedding> patch_embed;
    Parameter* positions = nullptr;
    Parameter* class_token = nullptr;  // null: not the last stage
    std::vector<std::unique_ptr<PvtBlock>> blocks;
  };
  PvtConfig config_;
  std::vector<Stage> stages_;
  std::optional<LayerNorm> norm_;
};

}  // namespace vitrail
