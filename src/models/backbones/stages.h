// What backbones of several stages do alike. A stage is a struct with a list `blocks` of pointers
// to its transformer blocks, which have path(), attention(), visit_linears() and forward().
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <string>
#include <vector>

#include "autograd/checkpoint.h"
#include "core/error.h"
#include "models/backbone.h"
#include "ops/tokens.h"

namespace vitrail {

// [B, C, H, W] as the map [B, H, W, C]. Error naming the network: no pictures of so many channels.
inline Variable map_of_pictures(const Context& context, const Variable& images, int64_t channels,
                                const char* network) {
  check(images.shape().rank() == 4 && images.size(1) == channels, network,
        "this model takes [B, {}, H, W], not {}", channels, images.shape().str());
  return permute(context, images, std::array{0, 2, 3, 1});
}

// A map [B, H, W, D] as the tokens [B, H * W, D].
inline Variable map_as_tokens(const Context& context, const Variable& map) {
  return reshape(context, map, {map.size(0), map.size(1) * map.size(2), map.size(3)});
}

// The tokens of a map of rows x columns that a picture of this size has become.
inline TokenLayout map_layout(int64_t rows, int64_t columns, int64_t picture_height,
                              int64_t picture_width) {
  return {.grid_height = rows,
          .grid_width = columns,
          .patch_height = std::max<int64_t>(picture_height / rows, 1),
          .patch_width = std::max<int64_t>(picture_width / columns, 1),
          .of_feature_map = true};
}

// block.forward(context, x, where...). With activation checkpointing it runs again in the backward
// pass, when its caller has returned: what says where the tokens lie is copied, and the block lives
// as long as its network.
template <typename Block, typename... Where>
Variable run_block(const Context& context, const Block& block, const Variable& x,
                   const Where&... where) {
  const auto run = [&block, where...](const Context& inner, const Variable& input) {
    return block.forward(inner, input, where...);
  };
  return context.activation_checkpointing ? checkpoint(context, x, run) : run(context, x);
}

// The same of a stage's blocks, one after the other; the observer is told what each makes.
template <typename Blocks, typename... Where>
Variable run_blocks(const Context& context, const Blocks& blocks, Variable x,
                    const Where&... where) {
  for (const auto& block : blocks) {
    x = run_block(context, *block, x, where...);
    context.observe(block->path(), x);
  }
  return x;
}
// Of blocks on a map [B, H, W, D], which the observer is told as tokens.
template <typename Blocks>
Variable run_map_blocks(const Context& context, const Blocks& blocks, Variable map) {
  for (const auto& block : blocks) {
    map = run_block(context, *block, map);
    context.observe(block->path(), map_as_tokens(context, map));
  }
  return map;
}

template <typename Blocks>
void add_places(const Blocks& blocks, size_t stage, std::vector<BlockPlace>* places) {
  for (const auto& block : blocks)
    places->push_back({.path = block->path(), .stage = static_cast<int64_t>(stage)});
}
template <typename Stages>
std::vector<BlockPlace> places_of(const Stages& stages) {
  std::vector<BlockPlace> places;
  for (size_t i = 0; i < stages.size(); ++i) add_places(stages[i].blocks, i, &places);
  return places;
}

template <typename Attention>
AttentionLayer layer_of(const Attention& attention, size_t stage) {
  AttentionLayer layer{
      .path = attention.path(), .stage = static_cast<int64_t>(stage), .heads = attention.heads()};
  if constexpr (requires { attention.of_its_tokens(); })
    layer.of_its_tokens = attention.of_its_tokens();
  return layer;
}
template <typename Stages>
std::vector<AttentionLayer> attention_layers(const Stages& stages) {
  std::vector<AttentionLayer> layers;
  for (size_t i = 0; i < stages.size(); ++i)
    for (const auto& block : stages[i].blocks) layers.push_back(layer_of(block->attention(), i));
  return layers;
}

// Of a layer whose keys are a smaller grid of the stage's tokens (nn/reduced_attention.h).
template <typename Attention>
AttentionGrids reduced_grids(const Attention& attention, const TokenLayout& tokens,
                             int64_t picture_height, int64_t picture_width) {
  if (attention.of_its_tokens()) return {tokens, tokens};
  const auto [rows, columns] = attention.key_grid(tokens.grid_height, tokens.grid_width);
  return {tokens, map_layout(rows, columns, picture_height, picture_width)};
}

template <typename Stages>
void visit_stages(Stages& stages, const VisitLinear& visit) {
  for (auto& stage : stages)
    for (const auto& block : stage.blocks) block->visit_linears(visit);
}

}  // namespace vitrail
