#include "models/backbones/mobilevit.h"

#include <algorithm>

#include "models/backbones/stages.h"
#include "models/classifier.h"
#include "ops/tokens.h"

namespace vitrail {
namespace {

MobileVitBlockConfig block_of(const MobileVitConfig& c, size_t stage, double drop_path) {
  const size_t i = stage - c.plain_stages();
  return {.separable = c.separable,
          .channels = c.channels[stage],
          .embed_dim = c.transformer_dims[i],
          .depth = c.transformer_depths[i],
          .num_heads = c.num_heads,
          .mlp_hidden = c.mlp_hidden_dims[i],
          .qkv_bias = c.qkv_bias,
          .patch = c.patch_size,
          .fit = c.patch_fit,
          .kernel = c.kernel_size,
          .activation = c.activation,
          .epsilon = c.layer_norm_epsilon,
          .dropout = c.dropout,
          .mlp_dropout = c.mlp_dropout,
          .attention_dropout = c.attention_dropout,
          .drop_path = drop_path};
}

}  // namespace

MobileVitBackbone::MobileVitBackbone(const Scope& root, const MobileVitConfig& c)
    : config_(c),
      stem_(root.in(ParameterPlace::Section::stem).child("stem"),
            {.inputs = c.in_channels,
             .outputs = c.stem_channels,
             .kernel = 3,
             .stride = 2,
             .muon = ParameterRole::Muon::none}) {
  int64_t block = 0, inputs = c.stem_channels;
  for (size_t i = 0; i < c.channels.size(); ++i) {
    const Scope below = root.child("stages").child(static_cast<int64_t>(i));
    Stage& stage = stages_.emplace_back();
    stage.path = below.path();
    const auto rate = [&] { return drop_path_of_block(c.drop_path, block, c.num_blocks()); };
    for (int64_t j = 0; j < c.depths[i]; ++j, ++block) {
      const int64_t stride = i > 0 && j == 0 ? 2 : 1;
      stage.convolutions.push_back(std::make_unique<InvertedResidual>(
          below.child(j).in_block(block),
          InvertedResidualConfig{.inputs = inputs,
                                 .hidden = expanded_channels(inputs, c.expand_ratio),
                                 .outputs = c.channels[i],
                                 .stride = stride,
                                 .activation = c.activation,
                                 .shortcut = stride == 1 && inputs == c.channels[i],
                                 .drop_path = rate(),
                                 .names = {"conv1_1x1", "conv2_kxk", "conv3_1x1"}}));
      inputs = c.channels[i];
    }
    if (i < c.plain_stages()) continue;
    stage.transformer = std::make_unique<MobileVitBlock>(below.child(c.depths[i]).in_block(block),
                                                         block_of(c, i, rate()));
    ++block;
  }
  if (c.final_channels > 0)
    final_conv_.emplace(root.in(ParameterPlace::Section::final_norm).child("final_conv"),
                        NormedConvolutionConfig{.inputs = inputs, .outputs = c.final_channels});
}

std::vector<TokenLayout> MobileVitBackbone::layouts(int64_t picture_height,
                                                    int64_t picture_width) const {
  check(picture_height > 0 && picture_width > 0, "mobilevit", "a picture of {}x{} has no pixels",
        picture_height, picture_width);
  std::vector<TokenLayout> layouts;
  int64_t height = stem_.cells(picture_height), width = stem_.cells(picture_width);
  for (const Stage& stage : stages_) {
    for (const auto& block : stage.convolutions) {
      height = block->cells(height);
      width = block->cells(width);
    }
    if (stage.transformer) {
      check(stage.transformer->patched(height) > 0 && stage.transformer->patched(width) > 0,
            "mobilevit", "a picture of {}x{} leaves {} a map of {}x{}, less than a patch of {}",
            picture_height, picture_width, stage.path, height, width, config_.patch_size);
      height = stage.transformer->cells(height);
      width = stage.transformer->cells(width);
    }
    layouts.push_back(map_layout(height, width, picture_height, picture_width));
  }
  return layouts;
}

Variable MobileVitBackbone::run_stage(const Context& context, const Stage& stage,
                                      Variable map) const {
  map = run_map_blocks(context, stage.convolutions, std::move(map));
  if (!stage.transformer) return map;
  map = run_block(context, *stage.transformer, map);
  context.observe(stage.transformer->path(), map_as_tokens(context, map));
  return map;
}

std::vector<Feature> MobileVitBackbone::forward(const Context& context,
                                                const Variable& images) const {
  const Variable pictures = map_of_pictures(context, images, config_.in_channels, "mobilevit");
  const std::vector<TokenLayout> grids = layouts(images.size(2), images.size(3));
  const LinearEpilogue activated{.activation = config_.activation};
  Variable map = stem_.forward(context, pictures, activated);  // [B, h, w, C]
  context.observe("stem", map);
  std::vector<Feature> features;
  for (size_t i = 0; i < stages_.size(); ++i) {
    map = run_stage(context, stages_[i], std::move(map));
    context.observe(stages_[i].path, map_as_tokens(context, map));
    if (final_conv_ && i + 1 == stages_.size()) {
      map = final_conv_->forward(context, map, activated);
      context.observe("final_conv", map_as_tokens(context, map));
    }
    features.push_back({.tokens = map_as_tokens(context, map), .layout = grids[i]});
  }
  return features;
}

std::vector<BlockPlace> MobileVitBackbone::blocks() const {
  std::vector<BlockPlace> places;
  for (size_t i = 0; i < stages_.size(); ++i) {
    add_places(stages_[i].convolutions, i, &places);
    if (stages_[i].transformer)
      places.push_back({.path = stages_[i].transformer->path(), .stage = static_cast<int64_t>(i)});
  }
  return places;
}

std::vector<AttentionLayer> MobileVitBackbone::attentions() const {
  std::vector<AttentionLayer> layers;
  const std::vector<TokenLayout> grids = layouts(config_.image_height, config_.image_width);
  for (size_t i = 0; i < stages_.size(); ++i) {
    if (!stages_[i].transformer) continue;
    const auto fits = [&](int64_t side) { return stages_[i].transformer->patched(side) == side; };
    for (const std::string& path : stages_[i].transformer->attentions())
      layers.push_back({.path = path,
                        .stage = static_cast<int64_t>(i),
                        .heads = config_.num_heads,
                        .of_its_tokens = fits(grids[i].grid_height) && fits(grids[i].grid_width)});
  }
  return layers;
}

AttentionGrids MobileVitBackbone::attention_grids(const AttentionLayer& layer,
                                                  int64_t picture_height,
                                                  int64_t picture_width) const {
  const auto stage = static_cast<size_t>(layer.stage);
  TokenLayout layout = layouts(picture_height, picture_width)[stage];
  const MobileVitBlock& block = *stages_[stage].transformer;
  layout.grid_height = block.patched(layout.grid_height);
  layout.grid_width = block.patched(layout.grid_width);
  layout.patch_height = std::max<int64_t>(picture_height / layout.grid_height, 1);
  layout.patch_width = std::max<int64_t>(picture_width / layout.grid_width, 1);
  return {.queries = layout, .keys = layout};
}

void MobileVitBackbone::visit_linears(const VisitLinear& visit) {
  for (Stage& stage : stages_)
    if (stage.transformer) stage.transformer->visit_linears(visit);
}

void MobileVitBackbone::count(CostCounter& counter, int64_t picture_height,
                              int64_t picture_width) const {
  const std::vector<TokenLayout> grids = layouts(picture_height, picture_width);
  int64_t height = stem_.cells(picture_height), width = stem_.cells(picture_width);
  counter.add({.path = "stem",
               .output = {height * width, stem_.outputs()},
               .multiply_adds = stem_.multiply_adds(picture_height, picture_width)});
  for (size_t i = 0; i < stages_.size(); ++i) {
    for (const auto& block : stages_[i].convolutions) {
      counter.add(block->cost(height, width));
      height = block->cells(height);
      width = block->cells(width);
    }
    if (stages_[i].transformer) stages_[i].transformer->count(counter, height, width);
    height = grids[i].grid_height;
    width = grids[i].grid_width;
  }
  if (!final_conv_) return;
  counter.add({.path = "final_conv",
               .output = {height * width, final_conv_->outputs()},
               .multiply_adds = final_conv_->multiply_adds(height, width)});
}

std::shared_ptr<Network> make_network(const MobileVitConfig& config) {
  return std::make_shared<ClassifierOf<MobileVitBackbone>>(
      config, ClassifierConfig{.embed_dim = config.final_width(),
                               .pooling = Pooling::mean,
                               .answer = config.class_answer()});
}

}  // namespace vitrail
