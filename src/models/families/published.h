// The published architectures of the families: what a checkpoint's names and shapes do not say
// (heads, epsilon, activation, pooling, preprocessing) for those that everybody has on disk.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string_view>

#include "models/vit_config.h"

namespace vitrail {

// What the definitions of one of timm's other constructors have beside a VisionTransformer's.
struct PublishedStructure {
  std::string_view family;  // the name of theirs
  bool positions = true;    // there is a pos_embed
  bool key_bias = false;
  RotaryConfig rotary = {};
  RelativeConfig relative = {};
  bool split_gate = false;  // SwiGLU with a matrix for each half
  bool mlp_norm = false, attention_norm = false;
  int pool_heads = 0;  // of attention pooling, whose MLP is then four times as wide as the tokens
};

struct PublishedArchitecture {
  enum Flag : uint32_t {
    kEpsilon5 = 1,          // LayerNorm's epsilon is 1e-5, not 1e-6
    kNoClass = 2,           // no class token
    kNoPrefixPosition = 4,  // pos_embed covers patches alone
    kPreNorm = 8,           // norm_pre, and no bias in the patch embedding
    kFcNorm = 16,           // the final norm follows pooling
    kNoFinalNorm = 32,
    kLayerScale = 64,
    kNoQkvBias = 128,
    kGated = 256,      // SwiGLU with packed halves
    kDistilled = 512,  // a distillation token
    kResPost = 1024,   // norms after attention and MLP
    kSquash = 2048,    // resized without keeping the ratio
    kBilinear = 4096,
    kOffsetResize = 8192,        // original DINOv2's interpolation of positions
    kSeveralWeights = 16384,     // its published weights differ in preprocessing
    kRmsNorm = 1 << 24,          // in the place of LayerNorm
    kPatchOutputNorm = 1 << 25,  // a norm behind the patch embedding
    kInnerNorms = 1 << 26,       // norms in front of attn.proj and mlp.fc2
    kGatedSplit = 1 << 27,       // SwiGLU with fc1_g and fc1_x
    kNoProjectionBias = 1 << 28,
    kQkNorm = 1 << 29,
    kDifferential = 1 << 30,
    kParallel = uint32_t{1} << 31,  // attention and MLP of one norm
  };
  enum Statistics : uint8_t { kHalf, kImageNet, kOpenAi, kUnit };
  // What makes the tokens; the residual networks of timm's hybrids.
  enum Stem : uint8_t { kPatches, kBitStem, kBit26, kBit50, kBit50Long, kD26, kD50Short, kD50 };
  struct Size {
    int embed_dim, depth, num_heads, patch, image;
  };

  std::string_view name;
  Size size;
  Statistics statistics;  // of the channels' normalisation
  int crop_permille;      // of the resized short side that the centre crop keeps
  int registers = 0;
  int mlp_hidden = 0;  // 0: four times embed_dim
  Activation activation = Activation::gelu;
  Pooling pooling = Pooling::class_token;
  uint32_t flags = 0;
  int num_classes = 1000;
  int picture = 0;                                // that the preprocessing makes; 0: image
  const PublishedStructure* structure = nullptr;  // of another constructor; null: of none
  Stem stem = kPatches;
  int branches = 1;  // attentions side by side, then MLPs

  // The name of the family whose definition it is.
  std::string_view family() const {
    if (structure != nullptr) return structure->family;
    return name.starts_with("dinov2_") ? "dinov2" : "timm";
  }
};

// timm's names (without a tag) and original DINOv2's.
std::span<const PublishedArchitecture> published_architectures();
const PublishedArchitecture* find_published(std::string_view name);  // null: not there

// The whole model. `architecture` is the name.
VitConfig published_config(const PublishedArchitecture& architecture);
// The preprocessing of its default weights as a timm pretrained_cfg.
nlohmann::json published_preprocess(const PublishedArchitecture& architecture);

}  // namespace vitrail
