#include "models/backbones/levit.h"

#include <numeric>

#include "models/backbones/stages.h"
#include "models/classifier.h"
#include "ops/activation.h"
#include "ops/tokens.h"

namespace vitrail {
namespace {

// Of the attention and the perceptron between stages, whatever the stages have.
constexpr int64_t kDownsampleValueRatio = 4, kDownsampleMlpRatio = 2, kDownsampleStride = 2;
constexpr int64_t kStemSide = 3;

constexpr auto kLevitFields = [](auto& c, auto visit) {
  kPictureNetworkFields(c, visit);
  visit("depths", c.depths);
  visit("embed_dims", c.embed_dims);
  visit("num_heads", c.num_heads);
  visit("key_dims", c.key_dims);
  visit("value_dims", c.value_dims);
  visit("mlp_ratios", c.mlp_ratios);
  visit("stem_stride", c.stem_stride);
  visit("activation", c.activation);
  visit("attention_activation", c.attention_activation);
  visit("distilled", c.distilled);
  visit("convolutions", c.convolutions);
};

int64_t halved(int64_t cells) {
  return (cells - 1) / kDownsampleStride + 1;
}

// Channels of the stem's convolutions: each has twice those of the one before.
std::vector<int64_t> stem_channels(const LevitConfig& c) {
  std::vector<int64_t> channels;
  for (int64_t divisor = c.stem_stride / 2; divisor >= 1; divisor /= 2)
    channels.push_back(c.embed_dims.front() / divisor);
  return channels;
}

TokenLayout stage_layout(const LevitConfig& c, size_t stage) {
  int64_t height = c.image_height / c.stem_stride, width = c.image_width / c.stem_stride;
  for (size_t i = 0; i < stage; ++i) {
    height = halved(height);
    width = halved(width);
  }
  const int64_t stride = c.stem_stride << stage;
  return {.grid_height = height,
          .grid_width = width,
          .patch_height = stride,
          .patch_width = stride,
          .of_feature_map = true};
}

}  // namespace

int64_t LevitConfig::num_blocks() const {
  return std::accumulate(depths.begin(), depths.end(), int64_t{0});
}

void LevitConfig::set_image_size(int64_t height, int64_t width) {
  check(height == image_height && width == image_width, kConfigPlace,
        "LeViT's positions are of pictures of {}x{}, and its libraries have no rule for {}x{}",
        image_height, image_width, height, width);
}

void LevitConfig::validate() const {
  check_common();
  check_stages("depths", depths.size(),
               {{"depths", depths, 1, 1024},
                {"embed_dims", embed_dims},
                {"num_heads", num_heads, 1, 4096},
                {"key_dims", key_dims, 1, 4096},
                {"value_dims", value_dims, 1, 16384},
                {"mlp_ratios", mlp_ratios, 1, 64}});
  check(stem_stride == 16 || stem_stride == 8, kConfigPlace, "stem_stride is {}; it may be 16 or 8",
        stem_stride);
  check(image_height % stem_stride == 0 && image_width % stem_stride == 0, kConfigPlace,
        "a picture of {}x{} is not a whole number of the stem's {} pixels", image_height,
        image_width, stem_stride);
  check(embed_dims.front() >= stem_stride / 2, kConfigPlace,
        "embed_dims begin with {}, and the stem's first convolution has a {}th of that",
        embed_dims.front(), stem_stride / 2);
  for (size_t i = 0; i + 1 < embed_dims.size(); ++i)
    check(embed_dims[i] >= key_dims.front(), kConfigPlace,
          "the attention behind stage {} has {} / {} heads, embed_dims over the first of key_dims, "
          "and needs one",
          i, embed_dims[i], key_dims.front());
}

void write_fields(const LevitConfig& config, nlohmann::json& out) {
  out.update(fields_to_json(config, kLevitFields));
}

LevitConfig levit_config_from_json(const nlohmann::json& in) {
  return config_from_fields<LevitConfig>(kLevitFields, in);
}

void set_field(LevitConfig& config, const std::string& name, const std::string& value) {
  set_config_field(config, kLevitFields, name, value);
}

// Attention that leads into a stage, and a perceptron beside a shortcut.
class LevitDownsample {
 public:
  LevitDownsample(const Scope& scope, const LevitConfig& c, size_t stage)
      : mlp_path_(scope.path() + ".mlp"),
        drop_path_(c.drop_path),
        attn_(scope.child("attn_downsample"),
              {.inputs = c.embed_dims[stage - 1],
               .outputs = c.embed_dims[stage],
               .num_heads = c.embed_dims[stage - 1] / c.key_dims.front(),
               .key_dim = c.key_dims.front(),
               .value_dim = kDownsampleValueRatio * c.key_dims.front(),
               .grid_height = stage_layout(c, stage - 1).grid_height,
               .grid_width = stage_layout(c, stage - 1).grid_width,
               .query_stride = kDownsampleStride,
               .activation = c.attention_activation,
               .pointwise = c.convolutions}),
        mlp_(scope.child("mlp"), {.inputs = c.embed_dims[stage],
                                  .hidden = kDownsampleMlpRatio * c.embed_dims[stage],
                                  .activation = c.activation,
                                  .pointwise = c.convolutions}) {}

  Variable forward(const Context& context, const Variable& x) const {
    const Variable y = attn_.forward(context, x);
    return mlp_.forward(context, y, {.drop_path = drop_path_, .residual = &y, .path = mlp_path_});
  }
  const LevitAttention& attention() const { return attn_; }
  void visit_linears(const VisitLinear& visit) {
    attn_.visit_linears(visit);
    mlp_.visit_linears(visit);
  }
  void count(CostCounter& counter) const {
    counter.add(attn_.cost());
    counter.add(mlp_.cost(attn_.queries()));
  }

 private:
  std::string mlp_path_;
  double drop_path_;
  LevitAttention attn_;
  NormedMlp mlp_;
};

class LevitBlock {
 public:
  LevitBlock(const Scope& scope, const LevitConfig& c, size_t stage)
      : path_(scope.path()),
        attention_path_(path_ + ".attn"),
        mlp_path_(path_ + ".mlp"),
        drop_path_(c.drop_path),
        attn_(scope.child("attn"), {.inputs = c.embed_dims[stage],
                                    .outputs = c.embed_dims[stage],
                                    .num_heads = c.num_heads[stage],
                                    .key_dim = c.key_dims[stage],
                                    .value_dim = c.value_dims[stage],
                                    .grid_height = stage_layout(c, stage).grid_height,
                                    .grid_width = stage_layout(c, stage).grid_width,
                                    .activation = c.attention_activation,
                                    .pointwise = c.convolutions,
                                    .first_projection_weight = 0}),
        mlp_(scope.child("mlp"), {.inputs = c.embed_dims[stage],
                                  .hidden = c.mlp_ratios[stage] * c.embed_dims[stage],
                                  .activation = c.activation,
                                  .pointwise = c.convolutions}) {}

  Variable forward(const Context& context, const Variable& x) const {
    const Variable y = attn_.forward(
        context, x, {.drop_path = drop_path_, .residual = &x, .path = attention_path_});
    return mlp_.forward(context, y, {.drop_path = drop_path_, .residual = &y, .path = mlp_path_});
  }
  const std::string& path() const { return path_; }
  const LevitAttention& attention() const { return attn_; }
  void visit_linears(const VisitLinear& visit) {
    attn_.visit_linears(visit);
    mlp_.visit_linears(visit);
  }
  void count(CostCounter& counter) const {
    counter.add(attn_.cost());
    counter.add(mlp_.cost(attn_.queries()));
  }

 private:
  std::string path_, attention_path_, mlp_path_;
  double drop_path_;
  LevitAttention attn_;
  NormedMlp mlp_;
};

LevitBackbone::LevitBackbone(const Scope& root, const LevitConfig& c) : config_(c) {
  const Scope stem = root.in(ParameterPlace::Section::stem).child("stem");
  int64_t channels = c.in_channels;
  for (const int64_t outputs : stem_channels(c)) {
    const Scope layer = stem.child("conv" + std::to_string(stem_.size() + 1));
    stem_.emplace_back(layer.child("linear"), layer.child("bn"),
                       NormedConvolutionConfig{.inputs = channels,
                                               .outputs = outputs,
                                               .kernel = kStemSide,
                                               .stride = 2,
                                               .initializer = Initializer::torch_uniform(
                                                   channels * kStemSide * kStemSide)});
    channels = outputs;
  }
  int64_t block = 0;  // over all stages
  for (size_t i = 0; i < c.depths.size(); ++i) {
    const Scope below = root.child("stages").child(static_cast<int64_t>(i));
    Stage& stage = stages_.emplace_back();
    stage.path = below.path();
    stage.layout = stage_layout(c, i);
    if (i > 0)
      stage.downsample =
          std::make_unique<LevitDownsample>(below.in_block(block).child("downsample"), c, i);
    for (int64_t j = 0; j < c.depths[i]; ++j, ++block)
      stage.blocks.push_back(
          std::make_unique<LevitBlock>(below.child("blocks").child(j).in_block(block), c, i));
  }
}

LevitBackbone::~LevitBackbone() = default;

std::vector<TokenLayout> LevitBackbone::layouts(int64_t picture_height,
                                                int64_t picture_width) const {
  check(picture_height == config_.image_height && picture_width == config_.image_width, "levit",
        "this model takes pictures of {}x{}, not {}x{}: its positions have no rule for others",
        config_.image_height, config_.image_width, picture_height, picture_width);
  std::vector<TokenLayout> layouts;
  for (const Stage& stage : stages_) layouts.push_back(stage.layout);
  return layouts;
}

std::vector<Feature> LevitBackbone::forward(const Context& context, const Variable& images) const {
  Variable grid = map_of_pictures(context, images, config_.in_channels, "levit");
  (void)layouts(images.size(2), images.size(3));
  for (size_t i = 0; i < stem_.size(); ++i) {
    grid = stem_[i].forward(context, grid);
    if (i + 1 < stem_.size()) grid = activation(context, grid, config_.activation);
  }
  context.observe("stem", grid);
  Variable tokens = map_as_tokens(context, grid);
  std::vector<Feature> features;
  for (const Stage& stage : stages_) {
    if (stage.downsample) tokens = run_block(context, *stage.downsample, tokens);
    tokens = run_blocks(context, stage.blocks, tokens);
    context.observe(stage.path, tokens);
    features.push_back({.tokens = tokens, .layout = stage.layout});
  }
  return features;
}

int64_t LevitBackbone::embed_dim() const {
  return config_.embed_dims.back();
}

std::vector<BlockPlace> LevitBackbone::blocks() const {
  return places_of(stages_);
}

std::vector<AttentionLayer> LevitBackbone::attentions() const {
  std::vector<AttentionLayer> layers;
  for (size_t i = 0; i < stages_.size(); ++i) {
    if (stages_[i].downsample) {
      layers.push_back(layer_of(stages_[i].downsample->attention(), i));
      layers.back().of_its_tokens = false;
    }
    for (const auto& block : stages_[i].blocks) layers.push_back(layer_of(block->attention(), i));
  }
  return layers;
}

void LevitBackbone::visit_linears(const VisitLinear& visit) {
  for (Stage& stage : stages_) {
    if (stage.downsample) stage.downsample->visit_linears(visit);
    for (const auto& block : stage.blocks) block->visit_linears(visit);
  }
}

void LevitBackbone::count(CostCounter& counter, int64_t picture_height,
                          int64_t picture_width) const {
  (void)layouts(picture_height, picture_width);
  int64_t height = picture_height, width = picture_width;
  for (size_t i = 0; i < stem_.size(); ++i) {
    const int64_t multiply_adds = stem_[i].multiply_adds(height, width);
    height = stem_[i].cells(height);
    width = stem_[i].cells(width);
    counter.add({.path = "stem.conv" + std::to_string(i + 1),
                 .output = {stem_[i].outputs(), height, width},
                 .multiply_adds = multiply_adds});
  }
  for (const Stage& stage : stages_) {
    if (stage.downsample) stage.downsample->count(counter);
    for (const auto& block : stage.blocks) block->count(counter);
  }
}

std::shared_ptr<Network> make_network(const LevitConfig& config) {
  return std::make_shared<ClassifierOf<LevitBackbone>>(
      config, ClassifierConfig{.embed_dim = config.embed_dims.back(),
                               .pooling = Pooling::mean,
                               .answer = config.class_answer(),
                               .pooled_distillation = config.distilled,
                               .head_norm = true});
}

}  // namespace vitrail
