// The choices that a configuration makes between variants of a module.
#pragma once

#include <cstdint>

namespace vitrail {

// How pictures become tokens.
enum class PatchEmbedding : uint8_t {
  convolution,  // weight [D, C, ph, pw]: patches flattened channel by channel
  linear,       // weight [D, ph*pw*C]: patches flattened pixel by pixel, channel fastest
  tokenizer,    // convolution, activation and max-pooling stages (CCT)
  resnet,  // the feature map of a residual network: a hybrid, or with depth 0, mean pooling and
           // no norms, class token and positions the network itself
};

enum class Position : uint8_t {
  none,
  learned,
  sinusoidal_1d,     // over all tokens in order (Vaswani et al. 2017, section 3.5)
  sincos_2d,         // half of D for each axis (Chen et al. 2021, MoCo v3)
  sincos_2d_closed,  // the same, down to the lowest frequency itself (Beyer et al. 2022)
};

// How a stored position grid is resized to another picture's grid.
enum class PositionResize : uint8_t {
  bicubic_antialias,   // timm: a = -0.5, support scaled when shrinking
  bicubic,             // transformers: a = -0.75
  bicubic_offset,      // original DINOv2: a = -0.75, scale factor (n + 0.1) / n
  bilinear,            // google's JAX loaders
  bilinear_antialias,  // SigLIP 2 and TIPSv2: torch's, with the support scaled when shrinking
};

// Rotary positions of q and k (nn/position/rotary.h).
enum class Rotary : uint8_t {
  none,
  axial,  // half of a head's pairs turn with the row, half with the column, by a rule
  mixed,  // with both, at frequencies that each head of each block has learned
};
enum class RotaryCoordinates : uint8_t {
  index,    // the patch's number
  centred,  // its middle between the picture's borders at -1 and 1, times 2 pi (DINOv3)
  pixel,    // evenly from -1 to 1 (Perceiver's bands, timm's in_pixels)
};

// What is added to the scores by relative position (nn/position/relative.h, relative_mlp.h).
enum class RelativePosition : uint8_t {
  none,
  table,     // a number for each head and each offset (Swin, BEiT)
  mlp,       // of the offset's logarithm (timm's relpos)
  mlp_swin,  // of its logarithm in shares of the grid, between 0 and 16 (Swin v2)
};
// How a table by relative position is resized to another grid. The entries of the prefix stay.
enum class RelativeResize : uint8_t {
  refused,    // the family's library has no rule
  bilinear,   // transformers' BEiT
  bicubic,    // timm's MaxViT; a = -0.75
  geometric,  // timm's Swin and BEiT: distances grow geometrically, linear between them
};

enum class NormPlacement : uint8_t {
  pre,       // x + f(norm(x))
  post,      // norm(x + f(x)) (Vaswani et al. 2017)
  res_post,  // x + norm(f(x)): timm's ResPostBlock
  none,      // x + f(x): the minimal teaching ViT
  parallel,  // x + attn(norm(x)) + mlp(norm(x)), one norm (Dehghani et al. 2023, section 2)
  cct,       // x + attn(pre_norm(x)); y = norm1(x); y + mlp(y) (Hassani et al. 2021)
};

enum class MlpKind : uint8_t {
  plain,                   // fc2(act(fc1(x)))
  gated_packed,            // fc1 gives [a | b], equal halves: fc2(act(a) * b) (DINOv2's w12, w3)
  gated_packed_gate_last,  // fc2(a * act(b)): timm's GluMlp with gate_last
  gated_split,             // fc2(act(fc1_g(x)) * fc1_x(x)): timm's SwiGLU
};

// How the heads of an attention are mixed (kernels/attention_mixing.h), by how a family stores it.
enum class HeadMixingKind : uint8_t {
  none,
  // Scores and weights through a projection each, "proj_l" and "proj_w" (Touvron et al. 2021,
  // CaiT).
  projections,
  // The same without biases, "mix_heads_pre_attn" and "mix_heads_post_attn" [from, to].
  matrices,
  // Weights alone, "reattn_weights" [from, to], then LayerNorm over the heads (Zhou et al. 2021,
  // DeepViT).
  reattention,
};

}  // namespace vitrail
