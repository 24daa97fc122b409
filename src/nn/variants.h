// The choices that a configuration makes between variants of a module.
#pragma once

#include <cstdint>

namespace vitrail {

enum class Position : uint8_t {
  none,
  learned,
  sinusoidal_1d,  // over all tokens in order (Vaswani et al. 2017, section 3.5)
  sincos_2d,      // half of D for each axis (Chen et al. 2021, MoCo v3)
};

// How a stored position grid is resized to another picture's grid.
enum class PositionResize : uint8_t {
  bicubic_antialias,   // timm: a = -0.5, support scaled when shrinking
  bicubic,             // transformers: a = -0.75
  bicubic_offset,      // original DINOv2: a = -0.75, scale factor (n + 0.1) / n
  bilinear,            // google's JAX loaders
  bilinear_antialias,  // SigLIP 2 and TIPSv2: torch's, with the support scaled when shrinking
};

enum class NormPlacement : uint8_t {
  pre,       // x + f(norm(x))
  post,      // norm(x + f(x)) (Vaswani et al. 2017)
  res_post,  // x + norm(f(x)): timm's ResPostBlock
  none,      // x + f(x): the minimal teaching ViT
  cct,       // x + attn(pre_norm(x)); y = norm1(x); y + mlp(y) (Hassani et al. 2021)
};

enum class MlpKind : uint8_t {
  plain,                   // fc2(act(fc1(x)))
  gated_packed,            // fc1 gives [a | b], equal halves: fc2(act(a) * b) (DINOv2's w12, w3)
  gated_packed_gate_last,  // fc2(a * act(b)): timm's GluMlp with gate_last
  gated_split,             // fc2(act(fc1_g(x)) * fc1_x(x)): timm's SwiGLU
};

}  // namespace vitrail
