// LeViT (Graham et al. 2021): a convolutional stem, then stages of attention whose tokens get fewer
// and wider from one to the next. Every product has batch normalisation behind it, and in inference
// within it (nn/batch_norm.h). Of one size of pictures: its positions have no rule for another.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "models/backbone.h"
#include "models/picture_network_config.h"
#include "nn/levit_attention.h"
#include "nn/normed_convolution.h"
#include "nn/normed_mlp.h"

namespace vitrail {

// Canonical parameter names are timm's: stem.convN.*, stages.i.{downsample.{attn_downsample, mlp},
// blocks.j.{attn, mlp}}.*, head.{bn, linear}.*, head_dist.{bn, linear}.*; below each product
// "linear" and "bn". drop_path is that of every block.
struct LevitConfig : PictureNetworkConfig {
  static constexpr std::string_view kType = "levit";

  // Of each stage; all lists are as long.
  std::vector<int64_t> depths{2, 3, 4}, embed_dims{128, 256, 384}, num_heads{4, 6, 8};
  std::vector<int64_t> key_dims{16, 16, 16}, value_dims{32, 32, 32};  // of a head
  std::vector<int64_t> mlp_ratios{2, 2, 2};                           // hidden width over embed_dim
  int64_t stem_stride = 16;  // 16 or 8: four or three convolutions
  Activation activation = Activation::hard_swish;
  Activation attention_activation = Activation::hard_swish;  // before its output projection
  bool distilled = true;      // two heads, whose mean is the answer (DeiT, section 4.1)
  bool convolutions = false;  // projections are stored as 1x1 convolutions

  int64_t num_blocks() const;
  void set_image_size(int64_t height, int64_t width);
  // Error naming the field that is out of range or contradicts another.
  void validate() const;
  bool operator==(const LevitConfig&) const = default;
};

// As of PictureNetworkConfig.
void write_fields(const LevitConfig& config, nlohmann::json& out);
LevitConfig levit_config_from_json(const nlohmann::json& json);
void set_field(LevitConfig& config, const std::string& name, const std::string& value);
std::shared_ptr<Network> make_network(const LevitConfig& config);

class LevitDownsample;
class LevitBlock;

class LevitBackbone : public Backbone {
 public:
  // config is one that validate() accepts.
  LevitBackbone(const Scope& root, const LevitConfig& config);
  ~LevitBackbone() override;

  // A feature a stage. The observer is told "stem", "stages.i.blocks.j" and "stages.i".
  std::vector<Feature> forward(const Context& context, const Variable& images) const override;
  std::vector<TokenLayout> layouts(int64_t picture_height, int64_t picture_width) const override;
  int64_t embed_dim() const override;
  std::vector<BlockPlace> blocks() const override;
  // Those between stages are of the stage that they lead into.
  std::vector<AttentionLayer> attentions() const override;
  void visit_linears(const VisitLinear& visit) override;
  void count(CostCounter& counter, int64_t picture_height, int64_t picture_width) const override;

 private:
  struct Stage {
    std::string path;
    TokenLayout layout;
    std::unique_ptr<LevitDownsample> downsample;  // null: the first stage
    std::vector<std::unique_ptr<LevitBlock>> blocks;
  };
  LevitConfig config_;
  std::vector<NormedConvolution> stem_;
  std::vector<Stage> stages_;
};

}  // namespace vitrail
