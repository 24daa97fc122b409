// Explanation: where a model gathered its answer from.
#pragma once

#include <vitrail/classification.h>
#include <vitrail/export.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace vit {

// The part of a picture that the model saw, in pixels of the picture: what crops left out is
// outside, and where padding was added the box reaches beyond it.
struct Box {
  double left = 0, top = 0, right = 0, bottom = 0;
};

// The tokens that a layer's queries or keys are: a prefix (class token, ...), then a grid.
struct LayerGrid {
  std::int64_t prefix = 0, height = 0, width = 0;
};

// Layers, heads and tokens count from 0. Tokens: the prefix first (class token, ...), then the
// patches of the grid, row by row. Any number of threads may use one. It is independent of the
// session that made it, and holds queries and keys of all layers: 8 bytes for each token,
// embedding dimension and layer. One that was moved from answers every call with an Error.
class VITRAIL_API Explanation {
 public:
  const Classification& answer() const;  // the five best; nothing of a model without a head
  std::int64_t layers() const;
  std::int64_t heads() const;
  // Of one layer. Models with stages have grids and heads of their own in each; where keys are
  // reduced to fewer, so is their grid. Error: out of range.
  std::int64_t heads(std::int64_t layer) const;
  LayerGrid queries(std::int64_t layer) const;
  LayerGrid keys(std::int64_t layer) const;
  // Of the last stage.
  std::int64_t tokens() const;
  std::int64_t first_patch_token() const;
  std::int64_t grid_height() const;
  std::int64_t grid_width() const;
  Box seen() const;

  // Attention rollout from the answer to the patches (Abnar and Zuidema 2020), [grid height, grid
  // width]; not normalised. Error (unsupported): the layers have different tokens, or windows.
  std::vector<float> rollout() const;
  // The exact softmax row of one head: what `token` of the layer's queries attends to, patches
  // only, on the grid of its keys; 0 outside of its window. What is missing to 1 went to the prefix
  // tokens, or to padding. Error: out of range.
  std::vector<float> attention(std::int64_t layer, std::int64_t head, std::int64_t token) const;
  // The same of all layers and heads, [layers, heads, grid height, grid width]. Error
  // (unsupported): they have different grids.
  Array attention_maps(std::int64_t token) const;
  // Every row of one head, [queries, keys]; each row sums to 1. Error: out of range.
  Array attention_matrix(std::int64_t layer, std::int64_t head) const;

  // A page of HTML that needs no other file, at most 10 MB. Error: it cannot be written (io).
  void write_page(const std::filesystem::path& path) const;
  std::string page() const;
  // The picture with the rollout over it, PNG; without one, with the map of each stage.
  void write_overlay(const std::filesystem::path& path) const;
  std::vector<std::byte> overlay() const;

  struct Impl;
  explicit Explanation(std::shared_ptr<const Impl> impl) noexcept : impl_(std::move(impl)) {}

 private:
  std::shared_ptr<const Impl> impl_;
};

}  // namespace vit
