// Explanation: what one forward pass shows about one picture: the answer, attention rollout where
// all layers have the same tokens, and every layer's attention, from which any row follows exactly.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "explain/layer_attention.h"
#include "explain/rollout.h"
#include "image/image.h"
#include "image/preprocess/preprocess.h"
#include "infer/session.h"
#include "nn/token_layout.h"

namespace vitrail {

// Values over patches, row by row.
struct PatchMap {
  int64_t height = 0, width = 0;
  std::vector<float> values;
  // So many of its rows and columns lie on the picture that the model saw; behind them is padding.
  // 0: all.
  double rows_seen = 0, columns_seen = 0;
};

struct Explanation {
  TokenLayout layout;               // of the last stage
  std::vector<TokenLayout> stages;  // of each; a plain Vision Transformer has one
  Image photo;                      // RGB, as the model's loader oriented it
  PreprocessResult geometry;        // which part of the photo the model saw
  std::vector<float> logits;        // empty: a model without a head
  std::vector<float> features;      // what the head reads; empty with them
  RolloutOptions rollout_options;
  bool from_class_token =
      true;                    // what the rollout starts from: the class token, or a mean of tokens
  std::vector<float> rollout;  // [N], prefix tokens first; empty: there is none
  std::string no_rollout;      // why there is none, in words
  // Instead of it, for each stage: how much the patches are attended to in its last layer, on the
  // mean of heads and queries.
  std::vector<PatchMap> stage_maps;
  std::vector<LayerAttention> layers;
};

// Error (unsupported): a model without attention.
void check_explainable(const Model& model);

// `photo` as load_picture(path, session.preprocess().decode_options()) gives it.
// Error: what preprocessing or the rollout's options refuse; attention that maps do not carry
// (explain/layer_attention.h).
Explanation explain_picture(Session& session, const Image& photo,
                            const RolloutOptions& options = {});

// The patches' part of values over tokens [N]. Error: another number of tokens.
PatchMap patch_map(const TokenLayout& layout, const std::vector<float>& row);
// The same, with what of it lies on the picture.
PatchMap patch_map(const Explanation& explanation, const TokenLayout& layout,
                   const std::vector<float>& row);

}  // namespace vitrail
