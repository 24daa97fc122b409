#include "models/backbones/cvt.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "models/backbones/stages.h"
#include "models/classifier.h"
#include "nn/convolution_attention.h"
#include "nn/mlp.h"
#include "ops/tokens.h"

namespace vitrail {
namespace {

constexpr auto kCvtFields = [](auto& c, auto visit) {
  kPictureNetworkFields(c, visit);
  visit("depths", c.depths);
  visit("embed_dims", c.embed_dims);
  visit("num_heads", c.num_heads);
  visit("mlp_hidden_dims", c.mlp_hidden_dims);
  visit("patch_sizes", c.patch_sizes);
  visit("strides", c.strides);
  visit("paddings", c.paddings);
  visit("kernels", c.kernels);
  visit("key_strides", c.key_strides);
  visit("key_paddings", c.key_paddings);
  visit("qkv_bias", c.qkv_bias);
  visit("class_token", c.class_token);
  visit("final_norm", c.final_norm);
  visit("layer_norm_epsilon", c.layer_norm_epsilon);
};

// Cells of a convolution along an axis; 0 where the kernel does not fit.
int64_t cells_of_window(int64_t pixels, int64_t kernel, int64_t stride, int64_t padding) {
  return std::max<int64_t>(0, pixels + 2 * padding - kernel + stride) / stride;
}

// The grid of a stage, of so many pixels along an axis.
int64_t cells_of_stage(const CvtConfig& c, size_t stage, int64_t pixels) {
  for (size_t i = 0; i <= stage; ++i)
    pixels = cells_of_window(pixels, c.patch_sizes[i], c.strides[i], c.paddings[i]);
  return pixels;
}

bool has_class_token(const CvtConfig& c, size_t stage) {
  return c.class_token && stage + 1 == c.depths.size();
}

}  // namespace

int64_t CvtConfig::num_blocks() const {
  return std::accumulate(depths.begin(), depths.end(), int64_t{0});
}

void CvtConfig::validate() const {
  constexpr int64_t kMostHeads = 65536, kMostDepth = 1024, kMostSide = 64;
  check_common();
  check_stages("depths", depths.size(),
               {{"depths", depths, 1, kMostDepth},
                {"embed_dims", embed_dims},
                {"num_heads", num_heads, 1, kMostHeads},
                {"mlp_hidden_dims", mlp_hidden_dims, 1, int64_t{1} << 20},
                {"patch_sizes", patch_sizes, 1, kMostSide},
                {"strides", strides, 1, kMostSide},
                {"paddings", paddings, 0, kMostSide},
                {"kernels", kernels, 1, kMostSide},
                {"key_strides", key_strides, 1, kMostSide},
                {"key_paddings", key_paddings, 0, kMostSide}});
  for (size_t i = 0; i < depths.size(); ++i) {
    check(embed_dims[i] % num_heads[i] == 0, kConfigPlace,
          "num_heads {} of stage {} does not divide its embed_dims, {}", num_heads[i], i,
          embed_dims[i]);
    check(kernels[i] % 2 == 1, kConfigPlace, "kernels must be odd, and stage {} has {}", i,
          kernels[i]);
    const int64_t rows = cells_of_stage(*this, i, image_height);
    const int64_t columns = cells_of_stage(*this, i, image_width);
    check(rows > 0 && columns > 0, kConfigPlace,
          "a picture of {}x{} is too small for the patches of stage {}, {} wide", image_height,
          image_width, i, patch_sizes[i]);
    const int64_t keys =
        std::min(cells_of_window(rows, kernels[i], key_strides[i], key_paddings[i]),
                 cells_of_window(columns, kernels[i], key_strides[i], key_paddings[i]));
    check(keys > 0, kConfigPlace,
          "a picture of {}x{} gives stage {} a grid of {}x{}, into which its keys' kernel of {} "
          "does not fit; larger pictures do",
          image_height, image_width, i, rows, columns, kernels[i]);
  }
  check_epsilon("layer_norm_epsilon", layer_norm_epsilon);
}

void write_fields(const CvtConfig& config, nlohmann::json& out) {
  out.update(fields_to_json(config, kCvtFields));
}

CvtConfig cvt_config_from_json(const nlohmann::json& in) {
  return config_from_fields<CvtConfig>(kCvtFields, in);
}

void set_field(CvtConfig& config, const std::string& name, const std::string& value) {
  set_config_field(config, kCvtFields, name, value);
}

class CvtBlock {
 public:
  CvtBlock(const Scope& scope, const CvtConfig& c, size_t stage, double drop_path)
      : path_(scope.path()),
        attention_path_(path_ + ".attn.proj"),
        mlp_path_(path_ + ".mlp.fc2"),
        drop_path_(drop_path),
        norm1_(scope.child("norm1"), c.embed_dims[stage], c.layer_norm_epsilon),
        attn_(scope.child("attn"), {.embed_dim = c.embed_dims[stage],
                                    .num_heads = c.num_heads[stage],
                                    .kernel = c.kernels[stage],
                                    .key_stride = c.key_strides[stage],
                                    .key_padding = c.key_paddings[stage],
                                    .class_token = has_class_token(c, stage),
                                    .qkv_bias = c.qkv_bias}),
        norm2_(scope.child("norm2"), c.embed_dims[stage], c.layer_norm_epsilon),
        mlp_(scope.child("mlp"),
             {.inputs = c.embed_dims[stage], .hidden = c.mlp_hidden_dims[stage]}) {}

  Variable forward(const Context& context, const Variable& x, const TokenLayout& layout) const {
    const Variable y =
        attn_.forward(context, norm1_.forward(context, x), layout.grid_height, layout.grid_width,
                      {.drop_path = drop_path_, .residual = &x, .path = attention_path_});
    return mlp_.forward(context, norm2_.before(y),
                        {.drop_path = drop_path_, .residual = &y, .path = mlp_path_});
  }
  const std::string& path() const { return path_; }
  const ConvolutionAttention& attention() const { return attn_; }
  void visit_linears(const VisitLinear& visit) {
    attn_.visit_linears(visit);
    mlp_.visit_linears(visit);
  }
  void count(CostCounter& counter, const TokenLayout& layout) const {
    counter.add(attn_.cost(layout.grid_height, layout.grid_width));
    counter.add(mlp_.cost(layout.tokens()));
  }

 private:
  std::string path_, attention_path_, mlp_path_;
  double drop_path_;
  LayerNorm norm1_;
  ConvolutionAttention attn_;
  LayerNorm norm2_;
  Mlp mlp_;
};

CvtBackbone::CvtBackbone(const Scope& root, const CvtConfig& c) : config_(c) {
  int64_t block = 0;  // over all stages
  for (size_t i = 0; i < c.depths.size(); ++i) {
    const Scope below = root.child("stages").child(static_cast<int64_t>(i));
    const Scope first = i == 0 ? below.in(ParameterPlace::Section::stem) : below.in_block(block);
    Stage& stage = stages_.emplace_back();
    stage.path = below.path();
    stage.patch_embed.emplace(
        first.child("patch_embed"),
        OverlapEmbeddingConfig{.channels = i == 0 ? c.in_channels : c.embed_dims[i - 1],
                               .embed_dim = c.embed_dims[i],
                               .kernel = c.patch_sizes[i],
                               .stride = c.strides[i],
                               .padding = c.paddings[i],
                               .epsilon = c.layer_norm_epsilon});
    if (has_class_token(c, i))
      stage.class_token = &below.in_block(block).parameter("cls_token", {1, 1, c.embed_dims[i]},
                                                           Initializer::truncated_normal(0.02),
                                                           ParameterRole::Kind::token);
    for (int64_t j = 0; j < c.depths[i]; ++j, ++block)
      stage.blocks.push_back(
          std::make_unique<CvtBlock>(below.child("blocks").child(j).in_block(block), c, i,
                                     drop_path_of_block(c.drop_path, block, c.num_blocks())));
  }
  if (c.final_norm)
    norm_.emplace(root.in(ParameterPlace::Section::final_norm).child("norm"), c.embed_dims.back(),
                  c.layer_norm_epsilon);
}

CvtBackbone::~CvtBackbone() = default;

std::vector<TokenLayout> CvtBackbone::layouts(int64_t picture_height, int64_t picture_width) const {
  CvtConfig sized = config_;
  sized.set_image_size(picture_height, picture_width);  // says what does not fit
  std::vector<TokenLayout> layouts;
  for (size_t i = 0; i < stages_.size(); ++i) {
    const int64_t height = cells_of_stage(config_, i, picture_height);
    const int64_t width = cells_of_stage(config_, i, picture_width);
    layouts.push_back(map_layout(height, width, picture_height, picture_width));
    layouts.back().class_tokens = has_class_token(config_, i) ? 1 : 0;
  }
  return layouts;
}

std::vector<Feature> CvtBackbone::forward(const Context& context, const Variable& images) const {
  Variable grid = map_of_pictures(context, images, config_.in_channels, "cvt");
  const std::vector<TokenLayout> grids = layouts(images.size(2), images.size(3));
  std::vector<Feature> features;
  for (size_t i = 0; i < stages_.size(); ++i) {
    const Stage& stage = stages_[i];
    grid = stage.patch_embed->forward(context, grid);
    context.observe(stage.path + ".patch_embed", grid);
    Variable tokens = map_as_tokens(context, grid);
    if (stage.class_token != nullptr) {
      const std::array parts{stage.class_token->variable(), tokens};
      tokens = concatenate(context, parts, 1);
    }
    tokens = run_blocks(context, stage.blocks, tokens, grids[i]);
    const bool last = i + 1 == stages_.size();
    if (last && norm_) tokens = norm_->forward(context, tokens);
    context.observe(stage.path, tokens);
    features.push_back({.tokens = tokens, .layout = grids[i]});
    if (!last) grid = reshape(context, tokens, grid.shape());
  }
  return features;
}

int64_t CvtBackbone::embed_dim() const {
  return config_.embed_dims.back();
}

std::vector<BlockPlace> CvtBackbone::blocks() const {
  return places_of(stages_);
}

std::vector<AttentionLayer> CvtBackbone::attentions() const {
  return attention_layers(stages_);
}

void CvtBackbone::visit_linears(const VisitLinear& visit) {
  visit_stages(stages_, visit);
}

void CvtBackbone::count(CostCounter& counter, int64_t picture_height, int64_t picture_width) const {
  const std::vector<TokenLayout> grids = layouts(picture_height, picture_width);
  for (size_t i = 0; i < stages_.size(); ++i) {
    const int64_t height = i == 0 ? picture_height : grids[i - 1].grid_height;
    const int64_t width = i == 0 ? picture_width : grids[i - 1].grid_width;
    counter.add(stages_[i].patch_embed->cost(height, width));
    for (const auto& block : stages_[i].blocks) block->count(counter, grids[i]);
  }
}

std::shared_ptr<Network> make_network(const CvtConfig& config) {
  return std::make_shared<ClassifierOf<CvtBackbone>>(
      config, ClassifierConfig{.embed_dim = config.embed_dims.back(),
                               .pooling = config.class_token ? Pooling::class_token : Pooling::mean,
                               .answer = config.class_answer()});
}

}  // namespace vitrail
