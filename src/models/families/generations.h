// The bits of Spelling::generation.
#pragma once

namespace vitrail {

// A generation packs the choices of a family that has several independent ones.
inline constexpr int kNewModules = 1;      // hf: names of transformers 5.9's modules
inline constexpr int kPlainDeitHead = 2;   // hf_deit: one classifier
inline constexpr int kGatedMlp = 4;        // hf_dinov2: SwiGLU; dinov2: w12 and w3
inline constexpr int kPreNormModules = 1;  // vit_pytorch
inline constexpr int kNormedPatches = 2;   // vit_pytorch
inline constexpr int kHeadNorm = 4;        // vit_pytorch
inline constexpr int kGammaNames = 1;      // timm: DeiT-III's gamma_1, gamma_2

}  // namespace vitrail
