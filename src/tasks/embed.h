// Embeddings: what a picture is to the model, as a vector or a grid of vectors.
#pragma once

#include <cstdint>
#include <optional>

#include "infer/session.h"

namespace vitrail {

enum class EmbeddingKind : uint8_t {
  class_token,  // [B, D]
  mean,         // of patch tokens, [B, D]
  patches,      // [B, grid height, grid width, D]
};

struct EmbedOptions {
  EmbeddingKind kind = EmbeddingKind::class_token;
  // The output of this block, from 0; negative ones count from the last (-1). Nothing: the tokens
  // after the final norm.
  std::optional<int64_t> layer;
};

// Error: a class token of a model without one, a layer out of range.
void check_embedding(const Model& model, const EmbedOptions& options);

// images [B, C, H, W], as a session prepares them.
// Error: as check_embedding().
Tensor embed(Session& session, const Tensor& images, const EmbedOptions& options = {});

// The class token where the model has one, else the mean.
EmbeddingKind default_embedding(const Network& network);

}  // namespace vitrail
