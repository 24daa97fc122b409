// What the models of a family may have, as data: anything else is refused by name, or folded into
// what they have where that changes no answer (adapt.cpp).
#pragma once

#include <cstdint>

namespace vitrail {

struct Expressible {
  enum Presence : uint8_t { kNever, kOptional, kAlways };
  enum FinalNorm : uint8_t {
    kBeforePooling,   // of all tokens
    kOptionalBefore,  // the same, or none
    kAfterPooling,    // of the pooled vector, or none
    kTwice,           // of all tokens, and of the pooled vector again
    kOneOfTwo,        // before pooling or after it
    kAtMostOne,
  };

  Presence class_token = kAlways;
  Presence distillation_token = kNever;
  Presence layer_scale = kNever;
  Presence qkv_bias = kOptional;
  Presence patch_bias = kAlways;
  Presence pre_norm = kNever;  // beside inner_norms
  FinalNorm final_norm = kBeforePooling;
  bool register_tokens = false;
  bool mask_token = false;            // a tensor that no answer depends on, always there
  bool empty_class_token = false;     // a model without one has a tensor of no rows
  bool linear_patches = false;        // patches embedded by a matrix, with norms around it
  bool inner_norms = false;           // qk_norm, attention_norm, mlp_norm, pre_norm
  bool block_forms = false;           // parallel blocks, differential attention, residual stems
  bool rms_norm = false;              // RMSNorm; a norm behind the patch embedding
  bool reattention = false;           // DeepViT's mixing of heads
  bool any_head_size = false;         // heads times head size need not be the width
  bool any_activation = false;        // of a plain MLP, and of a split gate; else GELU and SiLU
  bool gated_mlp = false;             // SwiGLU with packed halves, the gate first
  bool rectangles = false;            // pictures and patches that are not square
  bool no_positions = false;          // there need be no table of them
  bool free_position_prefix = false;  // pos_embed covers every prefix token or none; else those
                                      // of class and distillation
  bool no_projection = false;         // attention without one, where one head has the whole width
  bool computed_positions = false;    // SimpleViT's, always
  bool projection_bias = true;        // attention's output may have one
  bool optional_head_bias = false;    // what express_head() makes of it
  bool optional_biases = false;       // of patches, and of blocks by one switch; else always there

  bool qk_norm = false, mlp_norm = false;             // each alone, where inner_norms is not
  bool block_biases = false;                          // of projection and MLP are always there
  bool split_gate = false;                            // a gated MLP with a matrix for each half
  bool res_post = false;                              // norms behind attention and MLP
  bool rotary = false;                                // rotary positions by a rule, or mixed
  bool stored_periods = false;                        // a file may hold their periods
  bool relative_table = false, relative_mlp = false;  // what is added to scores by position
  bool no_key_bias = false;                           // biases of q and v alone
  bool with_key_bias = true;                          // of q, k and v
};

}  // namespace vitrail
