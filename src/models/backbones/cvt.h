// CvT (Wu et al., "Introducing Convolutions to Vision Transformers", 2021): stages that begin with
// a convolutional embedding of overlapping patches; attention whose queries, keys and values are
// convolved first. There are no positions; the last stage may have a class token.
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

// Canonical parameter names are the authors': stages.i.{patch_embed.{proj, norm}, cls_token,
// blocks.j.{norm1, attn, norm2, mlp}}.*, norm.*, head.*.
struct CvtConfig : PictureNetworkConfig {
  static constexpr std::string_view kType = "cvt";

  // Of each stage; all lists are as long.
  std::vector<int64_t> depths{1, 2, 10}, embed_dims{64, 192, 384}, num_heads{1, 3, 6};
  std::vector<int64_t> mlp_hidden_dims{256, 768, 1536};
  std::vector<int64_t> patch_sizes{7, 3, 3}, strides{4, 2, 2}, paddings{2, 1, 1};  // of embeddings
  std::vector<int64_t> kernels{3, 3, 3};  // of queries, keys and values
  std::vector<int64_t> key_strides{2, 2, 2}, key_paddings{1, 1, 1};
  bool qkv_bias = true;
  bool class_token = true;  // of the last stage; without it the head reads the mean
  bool final_norm = true;
  double layer_norm_epsilon = 1e-5;

  int64_t num_blocks() const;
  void set_image_size(int64_t height, int64_t width) { resize_pictures(*this, height, width); }
  // Error naming the field that is out of range or contradicts another.
  void validate() const;
  bool operator==(const CvtConfig&) const = default;
};

// As of PictureNetworkConfig.
void write_fields(const CvtConfig& config, nlohmann::json& out);
CvtConfig cvt_config_from_json(const nlohmann::json& json);
void set_field(CvtConfig& config, const std::string& name, const std::string& value);
std::shared_ptr<Network> make_network(const CvtConfig& config);

class CvtBlock;

class CvtBackbone : public Backbone {
 public:
  // config is one that validate() accepts.
  CvtBackbone(const Scope& root, const CvtConfig& config);
  ~CvtBackbone() override;

  // A feature a stage; the last one with its class token, and behind the norm. The observer is told
  // "stages.i.patch_embed", "stages.i.blocks.j" and "stages.i".
  std::vector<Feature> forward(const Context& context, const Variable& images) const override;
  std::vector<TokenLayout> layouts(int64_t picture_height, int64_t picture_width) const override;
  int64_t embed_dim() const override;
  std::vector<BlockPlace> blocks() const override;
  std::vector<AttentionLayer> attentions() const override;
  void visit_linears(const VisitLinear& visit) override;
  void count(CostCounter& counter, int64_t picture_height, int64_t picture_width) const override;

 private:
  struct Stage {
    std::string path;
    std::optional<OverlapEmbedding> patch_embed;
    Parameter* class_token = nullptr;
    std::vector<std::unique_ptr<CvtBlock>> blocks;
  };
  CvtConfig config_;
  std::vector<Stage> stages_;
  std::optional<LayerNorm> norm_;
};

}  // namespace vitrail
