// Generated once from the definitions in timm 1.0.31 (apart from the last eight rows, which are
// facebookresearch/dinov2's); preprocessing is that of the default weights, and
// kSeveralWeights says that other published weights of the definition have another.
#include "models/families/published.h"

namespace vitrail {
namespace {

using enum PublishedArchitecture::Flag;
using enum PublishedArchitecture::Statistics;

constexpr RotarySettings kAxial16 = {
    .kind = Rotary::axial, .reference_height = 16, .reference_width = 16};
constexpr RotarySettings kCentred = {.kind = Rotary::axial,
                                     .base = 100,
                                     .coordinates = RotaryCoordinates::centred,
                                     .interleaved = false};
constexpr RotarySettings kByColumn = {.kind = Rotary::axial, .base = 100, .column_first = true};
constexpr RotarySettings kMixedByColumn = {.kind = Rotary::mixed, .base = 10, .column_first = true};

constexpr RotarySettings perception(int64_t reference, double offset) {
  return {.kind = Rotary::axial,
          .offset = offset,
          .reference_height = reference,
          .reference_width = reference,
          .column_first = true};
}

// timm's Eva.
constexpr PublishedStructure kEva = {.family = "timm_eva"};
constexpr PublishedStructure kEva02 = {.family = "timm_eva", .rotary = kAxial16};
constexpr PublishedStructure kEva02Split = {
    .family = "timm_eva", .rotary = kAxial16, .split_gate = true, .mlp_norm = true};
constexpr PublishedStructure kEva02Clip = {.family = "timm_eva",
                                           .rotary = kAxial16,
                                           .split_gate = true,
                                           .mlp_norm = true,
                                           .attention_norm = true};
constexpr PublishedStructure kDinov3 = {
    .family = "timm_eva", .positions = false, .rotary = kCentred};
constexpr PublishedStructure kDinov3Gated = {
    .family = "timm_eva", .positions = false, .rotary = kCentred, .split_gate = true};
constexpr PublishedStructure kRopeGap = {
    .family = "timm_eva", .positions = false, .rotary = kAxial16};
constexpr PublishedStructure kRopeAxial = {
    .family = "timm_eva", .key_bias = true, .rotary = kByColumn};
constexpr PublishedStructure kRopeAxialAlone = {
    .family = "timm_eva", .positions = false, .key_bias = true, .rotary = kByColumn};
constexpr PublishedStructure kRopeMixed = {
    .family = "timm_eva", .key_bias = true, .rotary = kMixedByColumn};
constexpr PublishedStructure kRopeMixedAlone = {
    .family = "timm_eva", .positions = false, .key_bias = true, .rotary = kMixedByColumn};
constexpr PublishedStructure kPe14 = {
    .family = "timm_eva", .key_bias = true, .rotary = perception(14, 1), .pool_heads = 8};
constexpr PublishedStructure kPe24 = {
    .family = "timm_eva", .key_bias = true, .rotary = perception(24, 1), .pool_heads = 8};
constexpr PublishedStructure kPe32 = {
    .family = "timm_eva", .key_bias = true, .rotary = perception(32, 1), .pool_heads = 8};
constexpr PublishedStructure kPe32NoOffset = {
    .family = "timm_eva", .key_bias = true, .rotary = perception(32, 0), .pool_heads = 8};
// timm's Beit.
constexpr PublishedStructure kBeit = {
    .family = "timm_beit", .positions = false, .relative = {.per_block = RelativePosition::table}};
// timm's VisionTransformerRelPos.
constexpr PublishedStructure kRelPos = {.family = "timm_relpos",
                                        .positions = false,
                                        .key_bias = true,
                                        .relative = {.per_block = RelativePosition::mlp}};
constexpr PublishedStructure kRelPos256 = {
    .family = "timm_relpos",
    .positions = false,
    .key_bias = true,
    .relative = {.per_block = RelativePosition::mlp, .hidden_dim = 256}};
constexpr PublishedStructure kSharedRelPos384 = {
    .family = "timm_relpos",
    .positions = false,
    .key_bias = true,
    .relative = {.shared = RelativePosition::mlp, .hidden_dim = 384}};
constexpr PublishedStructure kSharedRelPos512 = {
    .family = "timm_relpos",
    .positions = false,
    .key_bias = true,
    .relative = {.shared = RelativePosition::mlp, .hidden_dim = 512}};

// clang-format off
// .size is embed_dim, depth, num_heads, patch, image.
constexpr PublishedArchitecture kArchitectures[] = {
{.name = "aimv2_1b_patch14_224", .size = {2048, 24, 16, 14, 224}, .statistics = kOpenAi, .crop_permille = 1000, .mlp_hidden = 5632, .activation = Activation::silu, .pooling = Pooling::mean, .flags = kEpsilon5 | kNoClass | kNoQkvBias | kGatedSplit | kRmsNorm | kPatchOutputNorm | kNoProjectionBias, .num_classes = 0},
{.name = "aimv2_1b_patch14_336", .size = {2048, 24, 16, 14, 336}, .statistics = kOpenAi, .crop_permille = 1000, .mlp_hidden = 5632, .activation = Activation::silu, .pooling = Pooling::mean, .flags = kEpsilon5 | kNoClass | kNoQkvBias | kGatedSplit | kRmsNorm | kPatchOutputNorm | kNoProjectionBias, .num_classes = 0},
{.name = "aimv2_1b_patch14_448", .size = {2048, 24, 16, 14, 448}, .statistics = kOpenAi, .crop_permille = 1000, .mlp_hidden = 5632, .activation = Activation::silu, .pooling = Pooling::mean, .flags = kEpsilon5 | kNoClass | kNoQkvBias | kGatedSplit | kRmsNorm | kPatchOutputNorm | kNoProjectionBias, .num_classes = 0},
{.name = "aimv2_3b_patch14_224", .size = {3072, 24, 24, 14, 224}, .statistics = kOpenAi, .crop_permille = 1000, .mlp_hidden = 8192, .activation = Activation::silu, .pooling = Pooling::mean, .flags = kEpsilon5 | kNoClass | kNoQkvBias | kGatedSplit | kRmsNorm | kPatchOutputNorm | kNoProjectionBias, .num_classes = 0},
{.name = "aimv2_3b_patch14_336", .size = {3072, 24, 24, 14, 336}, .statistics = kOpenAi, .crop_permille = 1000, .mlp_hidden = 8192, .activation = Activation::silu, .pooling = Pooling::mean, .flags = kEpsilon5 | kNoClass | kNoQkvBias | kGatedSplit | kRmsNorm | kPatchOutputNorm | kNoProjectionBias, .num_classes = 0},
{.name = "aimv2_3b_patch14_448", .size = {3072, 24, 24, 14, 448}, .statistics = kOpenAi, .crop_permille = 1000, .mlp_hidden = 8192, .activation = Activation::silu, .pooling = Pooling::mean, .flags = kEpsilon5 | kNoClass | kNoQkvBias | kGatedSplit | kRmsNorm | kPatchOutputNorm | kNoProjectionBias, .num_classes = 0},
{.name = "aimv2_huge_patch14_224", .size = {1536, 24, 12, 14, 224}, .statistics = kOpenAi, .crop_permille = 1000, .mlp_hidden = 4096, .activation = Activation::silu, .pooling = Pooling::mean, .flags = kEpsilon5 | kNoClass | kNoQkvBias | kGatedSplit | kRmsNorm | kPatchOutputNorm | kNoProjectionBias, .num_classes = 0},
{.name = "aimv2_huge_patch14_336", .size = {1536, 24, 12, 14, 336}, .statistics = kOpenAi, .crop_permille = 1000, .mlp_hidden = 4096, .activation = Activation::silu, .pooling = Pooling::mean, .flags = kEpsilon5 | kNoClass | kNoQkvBias | kGatedSplit | kRmsNorm | kPatchOutputNorm | kNoProjectionBias, .num_classes = 0},
{.name = "aimv2_huge_patch14_448", .size = {1536, 24, 12, 14, 448}, .statistics = kOpenAi, .crop_permille = 1000, .mlp_hidden = 4096, .activation = Activation::silu, .pooling = Pooling::mean, .flags = kEpsilon5 | kNoClass | kNoQkvBias | kGatedSplit | kRmsNorm | kPatchOutputNorm | kNoProjectionBias, .num_classes = 0},
{.name = "aimv2_large_patch14_224", .size = {1024, 24, 8, 14, 224}, .statistics = kOpenAi, .crop_permille = 1000, .mlp_hidden = 2816, .activation = Activation::silu, .pooling = Pooling::mean, .flags = kEpsilon5 | kNoClass | kNoQkvBias | kGatedSplit | kRmsNorm | kPatchOutputNorm | kNoProjectionBias, .num_classes = 0},
{.name = "aimv2_large_patch14_336", .size = {1024, 24, 8, 14, 336}, .statistics = kOpenAi, .crop_permille = 1000, .mlp_hidden = 2816, .activation = Activation::silu, .pooling = Pooling::mean, .flags = kEpsilon5 | kNoClass | kNoQkvBias | kGatedSplit | kRmsNorm | kPatchOutputNorm | kNoProjectionBias, .num_classes = 0},
{.name = "aimv2_large_patch14_448", .size = {1024, 24, 8, 14, 448}, .statistics = kOpenAi, .crop_permille = 1000, .mlp_hidden = 2816, .activation = Activation::silu, .pooling = Pooling::mean, .flags = kEpsilon5 | kNoClass | kNoQkvBias | kGatedSplit | kRmsNorm | kPatchOutputNorm | kNoProjectionBias, .num_classes = 0},
{.name = "beit3_base_patch16_224", .size = {768, 12, 12, 16, 224}, .statistics = kImageNet, .crop_permille = 1000, .pooling = Pooling::mean, .flags = kEpsilon5 | kFcNorm | kInnerNorms},
{.name = "beit3_giant_patch14_224", .size = {1408, 40, 16, 14, 224}, .statistics = kImageNet, .crop_permille = 1000, .mlp_hidden = 6144, .pooling = Pooling::mean, .flags = kEpsilon5 | kFcNorm | kInnerNorms},
{.name = "beit3_giant_patch14_336", .size = {1408, 40, 16, 14, 336}, .statistics = kImageNet, .crop_permille = 1000, .mlp_hidden = 6144, .pooling = Pooling::mean, .flags = kEpsilon5 | kFcNorm | kInnerNorms},
{.name = "beit3_large_patch16_224", .size = {1024, 24, 16, 16, 224}, .statistics = kImageNet, .crop_permille = 1000, .pooling = Pooling::mean, .flags = kEpsilon5 | kFcNorm | kInnerNorms},
{.name = "eva_large_patch14_196", .size = {1024, 24, 16, 14, 196}, .statistics = kOpenAi, .crop_permille = 1000, .pooling = Pooling::mean, .flags = kFcNorm},
{.name = "eva_large_patch14_336", .size = {1024, 24, 16, 14, 336}, .statistics = kOpenAi, .crop_permille = 1000, .pooling = Pooling::mean, .flags = kFcNorm | kSquash},
{.name = "flexivit_base", .size = {768, 12, 12, 16, 240}, .statistics = kHalf, .crop_permille = 950, .flags = kNoPrefixPosition},
{.name = "flexivit_large", .size = {1024, 24, 16, 16, 240}, .statistics = kHalf, .crop_permille = 950, .flags = kNoPrefixPosition},
{.name = "flexivit_small", .size = {384, 12, 6, 16, 240}, .statistics = kHalf, .crop_permille = 950, .flags = kNoPrefixPosition},
{.name = "test_vit", .size = {64, 6, 2, 16, 160}, .statistics = kHalf, .crop_permille = 950, .mlp_hidden = 192},
{.name = "test_vit2", .size = {64, 8, 2, 16, 160}, .statistics = kHalf, .crop_permille = 950, .registers = 1, .mlp_hidden = 192, .pooling = Pooling::mean, .flags = kNoClass | kFcNorm | kLayerScale},
{.name = "test_vit3", .size = {96, 9, 3, 16, 160}, .statistics = kHalf, .crop_permille = 950, .registers = 1, .mlp_hidden = 192, .pooling = Pooling::map_all, .flags = kNoClass | kLayerScale},
{.name = "test_vit4", .size = {96, 9, 3, 16, 160}, .statistics = kHalf, .crop_permille = 950, .registers = 1, .mlp_hidden = 288, .pooling = Pooling::mean, .flags = kNoClass | kFcNorm | kLayerScale | kRmsNorm},
{.name = "vit_base_patch8_224", .size = {768, 12, 12, 8, 224}, .statistics = kHalf, .crop_permille = 900, .flags = kSeveralWeights},
{.name = "vit_base_patch14_dinov2", .size = {768, 12, 12, 14, 518}, .statistics = kImageNet, .crop_permille = 1000, .flags = kLayerScale, .num_classes = 0},
{.name = "vit_base_patch14_reg1_tipsv2", .size = {768, 12, 12, 14, 448}, .statistics = kUnit, .crop_permille = 1000, .registers = 1, .flags = kNoPrefixPosition | kLayerScale, .num_classes = 0},
{.name = "vit_base_patch14_reg4_dinov2", .size = {768, 12, 12, 14, 518}, .statistics = kImageNet, .crop_permille = 1000, .registers = 4, .flags = kNoPrefixPosition | kLayerScale, .num_classes = 0},
{.name = "vit_base_patch16_224", .size = {768, 12, 12, 16, 224}, .statistics = kHalf, .crop_permille = 900, .flags = kSeveralWeights},
{.name = "vit_base_patch16_224_miil", .size = {768, 12, 12, 16, 224}, .statistics = kUnit, .crop_permille = 875, .flags = kNoQkvBias | kBilinear, .num_classes = 11221},
{.name = "vit_base_patch16_384", .size = {768, 12, 12, 16, 384}, .statistics = kHalf, .crop_permille = 1000},
{.name = "vit_base_patch16_clip_224", .size = {768, 12, 12, 16, 224}, .statistics = kOpenAi, .crop_permille = 950, .flags = kEpsilon5 | kPreNorm | kSeveralWeights},
{.name = "vit_base_patch16_clip_384", .size = {768, 12, 12, 16, 384}, .statistics = kOpenAi, .crop_permille = 1000, .flags = kEpsilon5 | kPreNorm | kSquash | kSeveralWeights},
{.name = "vit_base_patch16_clip_quickgelu_224", .size = {768, 12, 12, 16, 224}, .statistics = kOpenAi, .crop_permille = 1000, .activation = Activation::quick_gelu, .flags = kEpsilon5 | kPreNorm | kSeveralWeights, .num_classes = 512},
{.name = "vit_base_patch16_gap_224", .size = {768, 12, 16, 16, 224}, .statistics = kHalf, .crop_permille = 900, .pooling = Pooling::mean, .flags = kNoClass},
{.name = "vit_base_patch16_plus_240", .size = {896, 12, 14, 16, 240}, .statistics = kHalf, .crop_permille = 950, .flags = kLayerScale},
{.name = "vit_base_patch16_plus_clip_240", .size = {896, 12, 14, 16, 240}, .statistics = kOpenAi, .crop_permille = 1000, .flags = kEpsilon5 | kPreNorm, .num_classes = 640},
{.name = "vit_base_patch16_radio_v3", .size = {768, 12, 12, 16, 512}, .statistics = kOpenAi, .crop_permille = 1000, .registers = 7, .flags = kNoPrefixPosition | kNoFinalNorm | kLayerScale, .num_classes = 0},
{.name = "vit_base_patch16_reg4_gap_256", .size = {768, 12, 12, 16, 256}, .statistics = kHalf, .crop_permille = 900, .registers = 4, .pooling = Pooling::mean, .flags = kNoClass | kNoPrefixPosition | kFcNorm},
{.name = "vit_base_patch16_rpn_224", .size = {768, 12, 12, 16, 224}, .statistics = kHalf, .crop_permille = 900, .pooling = Pooling::mean, .flags = kNoClass | kFcNorm | kNoQkvBias | kResPost},
{.name = "vit_base_patch16_siglip_224", .size = {768, 12, 12, 16, 224}, .statistics = kHalf, .crop_permille = 900, .pooling = Pooling::map, .flags = kNoClass, .num_classes = 0},
{.name = "vit_base_patch16_siglip_256", .size = {768, 12, 12, 16, 256}, .statistics = kHalf, .crop_permille = 900, .pooling = Pooling::map, .flags = kNoClass, .num_classes = 0},
{.name = "vit_base_patch16_siglip_384", .size = {768, 12, 12, 16, 384}, .statistics = kHalf, .crop_permille = 900, .pooling = Pooling::map, .flags = kNoClass, .num_classes = 0},
{.name = "vit_base_patch16_siglip_512", .size = {768, 12, 12, 16, 512}, .statistics = kHalf, .crop_permille = 900, .pooling = Pooling::map, .flags = kNoClass, .num_classes = 0},
{.name = "vit_base_patch16_siglip_gap_224", .size = {768, 12, 12, 16, 224}, .statistics = kHalf, .crop_permille = 900, .pooling = Pooling::mean, .flags = kNoClass, .num_classes = 0},
{.name = "vit_base_patch16_siglip_gap_256", .size = {768, 12, 12, 16, 256}, .statistics = kHalf, .crop_permille = 900, .pooling = Pooling::mean, .flags = kNoClass, .num_classes = 0},
{.name = "vit_base_patch16_siglip_gap_384", .size = {768, 12, 12, 16, 384}, .statistics = kHalf, .crop_permille = 900, .pooling = Pooling::mean, .flags = kNoClass, .num_classes = 0},
{.name = "vit_base_patch16_siglip_gap_512", .size = {768, 12, 12, 16, 512}, .statistics = kHalf, .crop_permille = 900, .pooling = Pooling::mean, .flags = kNoClass, .num_classes = 0},
{.name = "vit_base_patch32_224", .size = {768, 12, 12, 32, 224}, .statistics = kHalf, .crop_permille = 900},
{.name = "vit_base_patch32_384", .size = {768, 12, 12, 32, 384}, .statistics = kHalf, .crop_permille = 1000},
{.name = "vit_base_patch32_clip_224", .size = {768, 12, 12, 32, 224}, .statistics = kOpenAi, .crop_permille = 900, .flags = kEpsilon5 | kPreNorm | kSeveralWeights},
{.name = "vit_base_patch32_clip_256", .size = {768, 12, 12, 32, 256}, .statistics = kOpenAi, .crop_permille = 1000, .flags = kEpsilon5 | kPreNorm, .num_classes = 512},
{.name = "vit_base_patch32_clip_384", .size = {768, 12, 12, 32, 384}, .statistics = kOpenAi, .crop_permille = 1000, .flags = kEpsilon5 | kPreNorm | kSeveralWeights},
{.name = "vit_base_patch32_clip_448", .size = {768, 12, 12, 32, 448}, .statistics = kOpenAi, .crop_permille = 1000, .flags = kEpsilon5 | kPreNorm},
{.name = "vit_base_patch32_clip_quickgelu_224", .size = {768, 12, 12, 32, 224}, .statistics = kOpenAi, .crop_permille = 900, .activation = Activation::quick_gelu, .flags = kEpsilon5 | kPreNorm | kSeveralWeights, .num_classes = 512},
{.name = "vit_base_patch32_plus_256", .size = {896, 12, 14, 32, 256}, .statistics = kHalf, .crop_permille = 950, .flags = kLayerScale},
{.name = "vit_base_patch32_siglip_256", .size = {768, 12, 12, 32, 256}, .statistics = kHalf, .crop_permille = 900, .activation = Activation::gelu_tanh, .pooling = Pooling::map, .flags = kNoClass, .num_classes = 0},
{.name = "vit_base_patch32_siglip_gap_256", .size = {768, 12, 12, 32, 256}, .statistics = kHalf, .crop_permille = 900, .activation = Activation::gelu_tanh, .pooling = Pooling::mean, .flags = kNoClass, .num_classes = 0},
{.name = "vit_betwixt_patch16_gap_256", .size = {640, 12, 10, 16, 256}, .statistics = kHalf, .crop_permille = 950, .pooling = Pooling::mean, .flags = kNoClass | kLayerScale | kNoQkvBias},
{.name = "vit_betwixt_patch16_reg1_gap_256", .size = {640, 12, 10, 16, 256}, .statistics = kHalf, .crop_permille = 950, .registers = 1, .pooling = Pooling::mean, .flags = kNoClass | kNoPrefixPosition | kFcNorm | kLayerScale},
{.name = "vit_betwixt_patch16_reg4_gap_256", .size = {640, 12, 10, 16, 256}, .statistics = kHalf, .crop_permille = 950, .registers = 4, .pooling = Pooling::mean, .flags = kNoClass | kNoPrefixPosition | kFcNorm | kLayerScale},
{.name = "vit_betwixt_patch16_reg4_gap_384", .size = {640, 12, 10, 16, 384}, .statistics = kHalf, .crop_permille = 1000, .registers = 4, .pooling = Pooling::mean, .flags = kNoClass | kNoPrefixPosition | kFcNorm | kLayerScale},
{.name = "vit_betwixt_patch32_clip_224", .size = {640, 12, 10, 32, 224}, .statistics = kOpenAi, .crop_permille = 900, .flags = kEpsilon5 | kPreNorm, .num_classes = 512},
{.name = "vit_giant_patch14_224", .size = {1408, 40, 16, 14, 224}, .statistics = kHalf, .crop_permille = 900, .mlp_hidden = 6144},
{.name = "vit_giant_patch14_clip_224", .size = {1408, 40, 16, 14, 224}, .statistics = kOpenAi, .crop_permille = 1000, .mlp_hidden = 6144, .flags = kEpsilon5 | kPreNorm, .num_classes = 1024},
{.name = "vit_giant_patch14_dinov2", .size = {1536, 40, 24, 14, 518}, .statistics = kImageNet, .crop_permille = 1000, .mlp_hidden = 4096, .activation = Activation::silu, .flags = kLayerScale | kGated, .num_classes = 0},
{.name = "vit_giant_patch14_reg1_tipsv2", .size = {1536, 40, 24, 14, 448}, .statistics = kUnit, .crop_permille = 1000, .registers = 1, .mlp_hidden = 4096, .activation = Activation::silu, .flags = kNoPrefixPosition | kLayerScale | kGated, .num_classes = 0},
{.name = "vit_giant_patch14_reg4_dinov2", .size = {1536, 40, 24, 14, 518}, .statistics = kImageNet, .crop_permille = 1000, .registers = 4, .mlp_hidden = 4096, .activation = Activation::silu, .flags = kNoPrefixPosition | kLayerScale | kGated, .num_classes = 0},
{.name = "vit_giant_patch16_gap_224", .size = {1408, 40, 16, 16, 224}, .statistics = kImageNet, .crop_permille = 900, .mlp_hidden = 6144, .pooling = Pooling::mean, .flags = kNoClass, .num_classes = 0},
{.name = "vit_giant_patch16_radio_v3", .size = {1536, 40, 24, 16, 512}, .statistics = kOpenAi, .crop_permille = 1000, .registers = 7, .flags = kNoPrefixPosition | kNoFinalNorm, .num_classes = 0},
{.name = "vit_giantopt_patch16_siglip_256", .size = {1536, 40, 16, 16, 256}, .statistics = kHalf, .crop_permille = 900, .activation = Activation::gelu_tanh, .pooling = Pooling::map, .flags = kNoClass, .num_classes = 0},
{.name = "vit_giantopt_patch16_siglip_384", .size = {1536, 40, 16, 16, 384}, .statistics = kHalf, .crop_permille = 900, .activation = Activation::gelu_tanh, .pooling = Pooling::map, .flags = kNoClass, .num_classes = 0},
{.name = "vit_giantopt_patch16_siglip_gap_256", .size = {1536, 40, 16, 16, 256}, .statistics = kHalf, .crop_permille = 900, .activation = Activation::gelu_tanh, .pooling = Pooling::mean, .flags = kNoClass, .num_classes = 0},
{.name = "vit_giantopt_patch16_siglip_gap_384", .size = {1536, 40, 16, 16, 384}, .statistics = kHalf, .crop_permille = 900, .activation = Activation::gelu_tanh, .pooling = Pooling::mean, .flags = kNoClass, .num_classes = 0},
{.name = "vit_gigantic_patch14_224", .size = {1664, 48, 16, 14, 224}, .statistics = kHalf, .crop_permille = 900, .mlp_hidden = 8192},
{.name = "vit_gigantic_patch14_clip_224", .size = {1664, 48, 16, 14, 224}, .statistics = kOpenAi, .crop_permille = 1000, .mlp_hidden = 8192, .flags = kEpsilon5 | kPreNorm, .num_classes = 1280},
{.name = "vit_gigantic_patch14_clip_378", .size = {1664, 48, 16, 14, 378}, .statistics = kOpenAi, .crop_permille = 1000, .mlp_hidden = 8192, .flags = kEpsilon5 | kPreNorm | kSquash, .num_classes = 1280},
{.name = "vit_gigantic_patch14_clip_quickgelu_224", .size = {1664, 48, 16, 14, 224}, .statistics = kOpenAi, .crop_permille = 1000, .mlp_hidden = 8192, .activation = Activation::quick_gelu, .flags = kEpsilon5 | kPreNorm, .num_classes = 1280},
{.name = "vit_huge_patch14_224", .size = {1280, 32, 16, 14, 224}, .statistics = kHalf, .crop_permille = 900, .flags = kSeveralWeights, .num_classes = 0},
{.name = "vit_huge_patch14_clip_224", .size = {1280, 32, 16, 14, 224}, .statistics = kOpenAi, .crop_permille = 1000, .flags = kEpsilon5 | kPreNorm},
{.name = "vit_huge_patch14_clip_336", .size = {1280, 32, 16, 14, 336}, .statistics = kOpenAi, .crop_permille = 1000, .flags = kEpsilon5 | kPreNorm | kSquash},
{.name = "vit_huge_patch14_clip_378", .size = {1280, 32, 16, 14, 378}, .statistics = kOpenAi, .crop_permille = 1000, .flags = kEpsilon5 | kPreNorm | kSeveralWeights, .num_classes = 1024},
{.name = "vit_huge_patch14_clip_quickgelu_224", .size = {1280, 32, 16, 14, 224}, .statistics = kOpenAi, .crop_permille = 1000, .activation = Activation::quick_gelu, .flags = kEpsilon5 | kPreNorm, .num_classes = 1024},
{.name = "vit_huge_patch14_clip_quickgelu_378", .size = {1280, 32, 16, 14, 378}, .statistics = kOpenAi, .crop_permille = 1000, .activation = Activation::quick_gelu, .flags = kEpsilon5 | kPreNorm, .num_classes = 1024},
{.name = "vit_huge_patch14_gap_224", .size = {1280, 32, 16, 14, 224}, .statistics = kImageNet, .crop_permille = 900, .pooling = Pooling::mean, .flags = kNoClass, .num_classes = 0},
{.name = "vit_huge_patch16_gap_448", .size = {1280, 32, 16, 16, 448}, .statistics = kImageNet, .crop_permille = 1000, .pooling = Pooling::mean, .flags = kNoClass, .num_classes = 0},
{.name = "vit_huge_patch16_radio_v3", .size = {1280, 32, 16, 16, 512}, .statistics = kOpenAi, .crop_permille = 1000, .registers = 7, .flags = kNoPrefixPosition | kNoFinalNorm, .num_classes = 0},
{.name = "vit_huge_patch16_radio_v4", .size = {1280, 32, 16, 16, 512}, .statistics = kOpenAi, .crop_permille = 1000, .registers = 9, .flags = kNoPrefixPosition | kNoFinalNorm, .num_classes = 0},
{.name = "vit_intern300m_patch14_448", .size = {1024, 24, 16, 14, 448}, .statistics = kImageNet, .crop_permille = 1000, .flags = kNoFinalNorm | kLayerScale, .num_classes = 0},
{.name = "vit_large_patch14_224", .size = {1024, 24, 16, 14, 224}, .statistics = kHalf, .crop_permille = 900},
{.name = "vit_large_patch14_clip_224", .size = {1024, 24, 16, 14, 224}, .statistics = kHalf, .crop_permille = 1000, .flags = kEpsilon5 | kPreNorm | kSeveralWeights},
{.name = "vit_large_patch14_clip_336", .size = {1024, 24, 16, 14, 336}, .statistics = kHalf, .crop_permille = 1000, .flags = kEpsilon5 | kPreNorm | kSquash | kSeveralWeights},
{.name = "vit_large_patch14_clip_quickgelu_224", .size = {1024, 24, 16, 14, 224}, .statistics = kOpenAi, .crop_permille = 1000, .activation = Activation::quick_gelu, .flags = kEpsilon5 | kPreNorm, .num_classes = 768},
{.name = "vit_large_patch14_clip_quickgelu_336", .size = {1024, 24, 16, 14, 336}, .statistics = kOpenAi, .crop_permille = 1000, .activation = Activation::quick_gelu, .flags = kEpsilon5 | kPreNorm, .num_classes = 768},
{.name = "vit_large_patch14_dinov2", .size = {1024, 24, 16, 14, 518}, .statistics = kImageNet, .crop_permille = 1000, .flags = kLayerScale, .num_classes = 0},
{.name = "vit_large_patch14_reg1_tipsv2", .size = {1024, 24, 16, 14, 448}, .statistics = kUnit, .crop_permille = 1000, .registers = 1, .flags = kNoPrefixPosition | kLayerScale, .num_classes = 0},
{.name = "vit_large_patch14_reg4_dinov2", .size = {1024, 24, 16, 14, 518}, .statistics = kImageNet, .crop_permille = 1000, .registers = 4, .flags = kNoPrefixPosition | kLayerScale, .num_classes = 0},
{.name = "vit_large_patch16_224", .size = {1024, 24, 16, 16, 224}, .statistics = kHalf, .crop_permille = 900, .flags = kSeveralWeights},
{.name = "vit_large_patch16_384", .size = {1024, 24, 16, 16, 384}, .statistics = kHalf, .crop_permille = 1000},
{.name = "vit_large_patch16_radio_v3", .size = {1024, 24, 16, 16, 512}, .statistics = kOpenAi, .crop_permille = 1000, .registers = 7, .flags = kNoPrefixPosition | kNoFinalNorm | kLayerScale, .num_classes = 0},
{.name = "vit_large_patch16_siglip_256", .size = {1024, 24, 16, 16, 256}, .statistics = kHalf, .crop_permille = 900, .pooling = Pooling::map, .flags = kNoClass, .num_classes = 0},
{.name = "vit_large_patch16_siglip_384", .size = {1024, 24, 16, 16, 384}, .statistics = kHalf, .crop_permille = 900, .pooling = Pooling::map, .flags = kNoClass, .num_classes = 0},
{.name = "vit_large_patch16_siglip_512", .size = {1024, 24, 16, 16, 512}, .statistics = kHalf, .crop_permille = 900, .activation = Activation::gelu_tanh, .pooling = Pooling::map, .flags = kNoClass, .num_classes = 0},
{.name = "vit_large_patch16_siglip_gap_256", .size = {1024, 24, 16, 16, 256}, .statistics = kHalf, .crop_permille = 900, .pooling = Pooling::mean, .flags = kNoClass, .num_classes = 0},
{.name = "vit_large_patch16_siglip_gap_384", .size = {1024, 24, 16, 16, 384}, .statistics = kHalf, .crop_permille = 900, .pooling = Pooling::mean, .flags = kNoClass, .num_classes = 0},
{.name = "vit_large_patch16_siglip_gap_512", .size = {1024, 24, 16, 16, 512}, .statistics = kHalf, .crop_permille = 900, .activation = Activation::gelu_tanh, .pooling = Pooling::mean, .flags = kNoClass, .num_classes = 0},
{.name = "vit_large_patch32_224", .size = {1024, 24, 16, 32, 224}, .statistics = kHalf, .crop_permille = 900, .num_classes = 0},
{.name = "vit_large_patch32_384", .size = {1024, 24, 16, 32, 384}, .statistics = kHalf, .crop_permille = 1000},
{.name = "vit_little_patch16_reg1_gap_256", .size = {320, 14, 5, 16, 256}, .statistics = kHalf, .crop_permille = 950, .registers = 1, .mlp_hidden = 1792, .pooling = Pooling::mean, .flags = kNoClass | kNoPrefixPosition | kFcNorm | kLayerScale},
{.name = "vit_little_patch16_reg4_gap_256", .size = {320, 14, 5, 16, 256}, .statistics = kHalf, .crop_permille = 950, .registers = 4, .mlp_hidden = 1792, .pooling = Pooling::mean, .flags = kNoClass | kNoPrefixPosition | kFcNorm | kLayerScale},
{.name = "vit_medium_patch16_clip_224", .size = {512, 12, 8, 16, 224}, .statistics = kOpenAi, .crop_permille = 900, .flags = kEpsilon5 | kPreNorm, .num_classes = 512},
{.name = "vit_medium_patch16_gap_240", .size = {512, 12, 8, 16, 240}, .statistics = kHalf, .crop_permille = 950, .pooling = Pooling::mean, .flags = kNoClass | kLayerScale | kNoQkvBias, .num_classes = 11821},
{.name = "vit_medium_patch16_gap_256", .size = {512, 12, 8, 16, 256}, .statistics = kHalf, .crop_permille = 950, .pooling = Pooling::mean, .flags = kNoClass | kLayerScale | kNoQkvBias},
{.name = "vit_medium_patch16_gap_384", .size = {512, 12, 8, 16, 384}, .statistics = kHalf, .crop_permille = 950, .pooling = Pooling::mean, .flags = kNoClass | kLayerScale | kNoQkvBias | kSquash},
{.name = "vit_medium_patch16_reg1_gap_256", .size = {512, 12, 8, 16, 256}, .statistics = kHalf, .crop_permille = 950, .registers = 1, .pooling = Pooling::mean, .flags = kNoClass | kNoPrefixPosition | kFcNorm | kLayerScale},
{.name = "vit_medium_patch16_reg4_gap_256", .size = {512, 12, 8, 16, 256}, .statistics = kHalf, .crop_permille = 950, .registers = 4, .pooling = Pooling::mean, .flags = kNoClass | kNoPrefixPosition | kFcNorm | kLayerScale},
{.name = "vit_medium_patch32_clip_224", .size = {512, 12, 8, 32, 224}, .statistics = kOpenAi, .crop_permille = 900, .flags = kEpsilon5 | kPreNorm, .num_classes = 512},
{.name = "vit_mediumd_patch16_reg4_gap_256", .size = {512, 20, 8, 16, 256}, .statistics = kHalf, .crop_permille = 950, .registers = 4, .pooling = Pooling::mean, .flags = kNoClass | kNoPrefixPosition | kFcNorm | kLayerScale},
{.name = "vit_mediumd_patch16_reg4_gap_384", .size = {512, 20, 8, 16, 384}, .statistics = kHalf, .crop_permille = 1000, .registers = 4, .pooling = Pooling::mean, .flags = kNoClass | kNoPrefixPosition | kFcNorm | kLayerScale},
{.name = "vit_small_patch8_224", .size = {384, 12, 6, 8, 224}, .statistics = kImageNet, .crop_permille = 900, .num_classes = 0},
{.name = "vit_small_patch14_dinov2", .size = {384, 12, 6, 14, 518}, .statistics = kImageNet, .crop_permille = 1000, .flags = kLayerScale, .num_classes = 0},
{.name = "vit_small_patch14_reg4_dinov2", .size = {384, 12, 6, 14, 518}, .statistics = kImageNet, .crop_permille = 1000, .registers = 4, .flags = kNoPrefixPosition | kLayerScale, .num_classes = 0},
{.name = "vit_small_patch16_36x1_224", .size = {384, 36, 6, 16, 224}, .statistics = kHalf, .crop_permille = 900, .flags = kLayerScale},
{.name = "vit_small_patch16_224", .size = {384, 12, 6, 16, 224}, .statistics = kHalf, .crop_permille = 900, .flags = kSeveralWeights},
{.name = "vit_small_patch16_384", .size = {384, 12, 6, 16, 384}, .statistics = kHalf, .crop_permille = 1000},
{.name = "vit_small_patch32_224", .size = {384, 12, 6, 32, 224}, .statistics = kHalf, .crop_permille = 900},
{.name = "vit_small_patch32_384", .size = {384, 12, 6, 32, 384}, .statistics = kHalf, .crop_permille = 1000},
{.name = "vit_so150m2_patch16_reg1_gap_256", .size = {832, 21, 13, 16, 256}, .statistics = kHalf, .crop_permille = 1000, .registers = 1, .mlp_hidden = 2176, .pooling = Pooling::mean, .flags = kNoClass | kFcNorm | kLayerScale | kNoQkvBias},
{.name = "vit_so150m2_patch16_reg1_gap_384", .size = {832, 21, 13, 16, 384}, .statistics = kHalf, .crop_permille = 1000, .registers = 1, .mlp_hidden = 2176, .pooling = Pooling::mean, .flags = kNoClass | kFcNorm | kLayerScale | kNoQkvBias},
{.name = "vit_so150m2_patch16_reg1_gap_448", .size = {832, 21, 13, 16, 448}, .statistics = kHalf, .crop_permille = 1000, .registers = 1, .mlp_hidden = 2176, .pooling = Pooling::mean, .flags = kNoClass | kFcNorm | kLayerScale | kNoQkvBias | kSquash},
{.name = "vit_so150m_patch16_reg4_gap_256", .size = {896, 18, 14, 16, 256}, .statistics = kHalf, .crop_permille = 950, .registers = 4, .mlp_hidden = 2304, .pooling = Pooling::mean, .flags = kNoClass},
{.name = "vit_so150m_patch16_reg4_gap_384", .size = {896, 18, 14, 16, 384}, .statistics = kHalf, .crop_permille = 1000, .registers = 4, .mlp_hidden = 2304, .pooling = Pooling::mean, .flags = kNoClass},
{.name = "vit_so150m_patch16_reg4_map_256", .size = {896, 18, 14, 16, 256}, .statistics = kHalf, .crop_permille = 900, .registers = 4, .mlp_hidden = 2304, .pooling = Pooling::map, .flags = kNoClass},
{.name = "vit_so400m_patch14_reg1_tipsv2", .size = {1152, 27, 16, 14, 448}, .statistics = kUnit, .crop_permille = 1000, .registers = 1, .mlp_hidden = 4304, .flags = kNoPrefixPosition | kLayerScale, .num_classes = 0},
{.name = "vit_so400m_patch14_siglip_224", .size = {1152, 27, 16, 14, 224}, .statistics = kHalf, .crop_permille = 900, .mlp_hidden = 4304, .pooling = Pooling::map, .flags = kNoClass, .num_classes = 0},
{.name = "vit_so400m_patch14_siglip_378", .size = {1152, 27, 16, 14, 378}, .statistics = kHalf, .crop_permille = 900, .mlp_hidden = 4304, .pooling = Pooling::map, .flags = kNoClass | kSeveralWeights, .num_classes = 0},
{.name = "vit_so400m_patch14_siglip_384", .size = {1152, 27, 16, 14, 384}, .statistics = kHalf, .crop_permille = 900, .mlp_hidden = 4304, .pooling = Pooling::map, .flags = kNoClass, .num_classes = 0},
{.name = "vit_so400m_patch14_siglip_gap_224", .size = {1152, 27, 16, 14, 224}, .statistics = kHalf, .crop_permille = 900, .mlp_hidden = 4304, .pooling = Pooling::mean, .flags = kNoClass, .num_classes = 0},
{.name = "vit_so400m_patch14_siglip_gap_378", .size = {1152, 27, 16, 14, 378}, .statistics = kHalf, .crop_permille = 900, .mlp_hidden = 4304, .pooling = Pooling::mean, .flags = kNoClass | kSeveralWeights, .num_classes = 0},
{.name = "vit_so400m_patch14_siglip_gap_384", .size = {1152, 27, 16, 14, 384}, .statistics = kHalf, .crop_permille = 1000, .mlp_hidden = 4304, .pooling = Pooling::mean, .flags = kNoClass, .num_classes = 0},
{.name = "vit_so400m_patch14_siglip_gap_448", .size = {1152, 27, 16, 14, 448}, .statistics = kHalf, .crop_permille = 1000, .mlp_hidden = 4304, .pooling = Pooling::mean, .flags = kNoClass, .num_classes = 0},
{.name = "vit_so400m_patch14_siglip_gap_896", .size = {1152, 27, 16, 14, 896}, .statistics = kHalf, .crop_permille = 1000, .mlp_hidden = 4304, .pooling = Pooling::mean, .flags = kNoClass, .num_classes = 0},
{.name = "vit_so400m_patch16_radio_v4", .size = {1152, 27, 16, 16, 512}, .statistics = kOpenAi, .crop_permille = 1000, .registers = 9, .mlp_hidden = 4304, .flags = kNoPrefixPosition | kNoFinalNorm, .num_classes = 0},
{.name = "vit_so400m_patch16_siglip_256", .size = {1152, 27, 16, 16, 256}, .statistics = kHalf, .crop_permille = 900, .mlp_hidden = 4304, .activation = Activation::gelu_tanh, .pooling = Pooling::map, .flags = kNoClass, .num_classes = 0},
{.name = "vit_so400m_patch16_siglip_384", .size = {1152, 27, 16, 16, 384}, .statistics = kHalf, .crop_permille = 900, .mlp_hidden = 4304, .activation = Activation::gelu_tanh, .pooling = Pooling::map, .flags = kNoClass, .num_classes = 0},
{.name = "vit_so400m_patch16_siglip_512", .size = {1152, 27, 16, 16, 512}, .statistics = kHalf, .crop_permille = 900, .mlp_hidden = 4304, .activation = Activation::gelu_tanh, .pooling = Pooling::map, .flags = kNoClass, .num_classes = 0},
{.name = "vit_so400m_patch16_siglip_gap_256", .size = {1152, 27, 16, 16, 256}, .statistics = kHalf, .crop_permille = 900, .mlp_hidden = 4304, .activation = Activation::gelu_tanh, .pooling = Pooling::mean, .flags = kNoClass, .num_classes = 0},
{.name = "vit_so400m_patch16_siglip_gap_384", .size = {1152, 27, 16, 16, 384}, .statistics = kHalf, .crop_permille = 900, .mlp_hidden = 4304, .activation = Activation::gelu_tanh, .pooling = Pooling::mean, .flags = kNoClass, .num_classes = 0},
{.name = "vit_so400m_patch16_siglip_gap_512", .size = {1152, 27, 16, 16, 512}, .statistics = kHalf, .crop_permille = 900, .mlp_hidden = 4304, .activation = Activation::gelu_tanh, .pooling = Pooling::mean, .flags = kNoClass, .num_classes = 0},
{.name = "vit_tiny_patch16_224", .size = {192, 12, 3, 16, 224}, .statistics = kHalf, .crop_permille = 900},
{.name = "vit_tiny_patch16_384", .size = {192, 12, 3, 16, 384}, .statistics = kHalf, .crop_permille = 1000},
{.name = "vit_wee_patch16_reg1_gap_256", .size = {256, 14, 4, 16, 256}, .statistics = kHalf, .crop_permille = 950, .registers = 1, .mlp_hidden = 1280, .pooling = Pooling::mean, .flags = kNoClass | kNoPrefixPosition | kFcNorm | kLayerScale},
{.name = "vit_xsmall_patch16_clip_224", .size = {256, 10, 4, 16, 224}, .statistics = kOpenAi, .crop_permille = 900, .flags = kEpsilon5 | kPreNorm, .num_classes = 512},
{.name = "deit3_base_patch16_224", .size = {768, 12, 12, 16, 224}, .statistics = kImageNet, .crop_permille = 900, .flags = kNoPrefixPosition | kLayerScale | kSeveralWeights},
{.name = "deit3_base_patch16_384", .size = {768, 12, 12, 16, 384}, .statistics = kImageNet, .crop_permille = 1000, .flags = kNoPrefixPosition | kLayerScale},
{.name = "deit3_huge_patch14_224", .size = {1280, 32, 16, 14, 224}, .statistics = kImageNet, .crop_permille = 900, .flags = kNoPrefixPosition | kLayerScale | kSeveralWeights},
{.name = "deit3_large_patch16_224", .size = {1024, 24, 16, 16, 224}, .statistics = kImageNet, .crop_permille = 900, .flags = kNoPrefixPosition | kLayerScale | kSeveralWeights},
{.name = "deit3_large_patch16_384", .size = {1024, 24, 16, 16, 384}, .statistics = kImageNet, .crop_permille = 1000, .flags = kNoPrefixPosition | kLayerScale},
{.name = "deit3_medium_patch16_224", .size = {512, 12, 8, 16, 224}, .statistics = kImageNet, .crop_permille = 900, .flags = kNoPrefixPosition | kLayerScale | kSeveralWeights},
{.name = "deit3_small_patch16_224", .size = {384, 12, 6, 16, 224}, .statistics = kImageNet, .crop_permille = 900, .flags = kNoPrefixPosition | kLayerScale | kSeveralWeights},
{.name = "deit3_small_patch16_384", .size = {384, 12, 6, 16, 384}, .statistics = kImageNet, .crop_permille = 1000, .flags = kNoPrefixPosition | kLayerScale},
{.name = "deit_base_distilled_patch16_224", .size = {768, 12, 12, 16, 224}, .statistics = kImageNet, .crop_permille = 900, .pooling = Pooling::distilled, .flags = kDistilled},
{.name = "deit_base_distilled_patch16_384", .size = {768, 12, 12, 16, 384}, .statistics = kImageNet, .crop_permille = 1000, .pooling = Pooling::distilled, .flags = kDistilled},
{.name = "deit_base_patch16_224", .size = {768, 12, 12, 16, 224}, .statistics = kImageNet, .crop_permille = 900},
{.name = "deit_base_patch16_384", .size = {768, 12, 12, 16, 384}, .statistics = kImageNet, .crop_permille = 1000},
{.name = "deit_small_distilled_patch16_224", .size = {384, 12, 6, 16, 224}, .statistics = kImageNet, .crop_permille = 900, .pooling = Pooling::distilled, .flags = kDistilled},
{.name = "deit_small_patch16_224", .size = {384, 12, 6, 16, 224}, .statistics = kImageNet, .crop_permille = 900},
{.name = "deit_tiny_distilled_patch16_224", .size = {192, 12, 3, 16, 224}, .statistics = kImageNet, .crop_permille = 900, .pooling = Pooling::distilled, .flags = kDistilled},
{.name = "deit_tiny_patch16_224", .size = {192, 12, 3, 16, 224}, .statistics = kImageNet, .crop_permille = 900},
{.name = "eva02_base_patch14_224", .size = {768, 12, 12, 14, 224}, .statistics = kOpenAi, .crop_permille = 900, .mlp_hidden = 2048, .activation = Activation::silu, .pooling = Pooling::mean, .flags = kFcNorm, .num_classes = 0, .structure = &kEva02Split},
{.name = "eva02_base_patch14_448", .size = {768, 12, 12, 14, 448}, .statistics = kOpenAi, .crop_permille = 1000, .mlp_hidden = 2048, .activation = Activation::silu, .pooling = Pooling::mean, .flags = kFcNorm | kSquash | kSeveralWeights, .structure = &kEva02Split},
{.name = "eva02_base_patch16_clip_224", .size = {768, 12, 12, 16, 224}, .statistics = kOpenAi, .crop_permille = 900, .mlp_hidden = 2048, .activation = Activation::silu, .num_classes = 512, .structure = &kEva02Clip},
{.name = "eva02_enormous_patch14_clip_224", .size = {1792, 64, 16, 14, 224}, .statistics = kOpenAi, .crop_permille = 900, .mlp_hidden = 15360, .flags = kResPost, .num_classes = 1024, .structure = &kEva},
{.name = "eva02_large_patch14_224", .size = {1024, 24, 16, 14, 224}, .statistics = kOpenAi, .crop_permille = 900, .mlp_hidden = 2730, .activation = Activation::silu, .pooling = Pooling::mean, .flags = kFcNorm, .num_classes = 0, .structure = &kEva02Split},
{.name = "eva02_large_patch14_448", .size = {1024, 24, 16, 14, 448}, .statistics = kOpenAi, .crop_permille = 1000, .mlp_hidden = 2730, .activation = Activation::silu, .pooling = Pooling::mean, .flags = kFcNorm | kSquash | kSeveralWeights, .structure = &kEva02Split},
{.name = "eva02_large_patch14_clip_224", .size = {1024, 24, 16, 14, 224}, .statistics = kOpenAi, .crop_permille = 900, .mlp_hidden = 2730, .activation = Activation::silu, .num_classes = 768, .structure = &kEva02Clip},
{.name = "eva02_large_patch14_clip_336", .size = {1024, 24, 16, 14, 336}, .statistics = kOpenAi, .crop_permille = 1000, .mlp_hidden = 2730, .activation = Activation::silu, .num_classes = 768, .structure = &kEva02Clip},
{.name = "eva02_small_patch14_224", .size = {384, 12, 6, 14, 224}, .statistics = kOpenAi, .crop_permille = 900, .mlp_hidden = 1024, .activation = Activation::silu, .pooling = Pooling::mean, .flags = kFcNorm | kGated, .num_classes = 0, .structure = &kEva02},
{.name = "eva02_small_patch14_336", .size = {384, 12, 6, 14, 336}, .statistics = kOpenAi, .crop_permille = 1000, .mlp_hidden = 1024, .activation = Activation::silu, .pooling = Pooling::mean, .flags = kFcNorm | kGated, .structure = &kEva02},
{.name = "eva02_tiny_patch14_224", .size = {192, 12, 3, 14, 224}, .statistics = kOpenAi, .crop_permille = 900, .mlp_hidden = 512, .activation = Activation::silu, .pooling = Pooling::mean, .flags = kFcNorm | kGated, .num_classes = 0, .structure = &kEva02},
{.name = "eva02_tiny_patch14_336", .size = {192, 12, 3, 14, 336}, .statistics = kOpenAi, .crop_permille = 1000, .mlp_hidden = 512, .activation = Activation::silu, .pooling = Pooling::mean, .flags = kFcNorm | kGated, .structure = &kEva02},
{.name = "eva_giant_patch14_224", .size = {1408, 40, 16, 14, 224}, .statistics = kOpenAi, .crop_permille = 900, .mlp_hidden = 6144, .pooling = Pooling::mean, .flags = kFcNorm, .structure = &kEva},
{.name = "eva_giant_patch14_336", .size = {1408, 40, 16, 14, 336}, .statistics = kOpenAi, .crop_permille = 1000, .mlp_hidden = 6144, .pooling = Pooling::mean, .flags = kFcNorm | kSquash | kSeveralWeights, .structure = &kEva},
{.name = "eva_giant_patch14_560", .size = {1408, 40, 16, 14, 560}, .statistics = kImageNet, .crop_permille = 1000, .mlp_hidden = 6144, .pooling = Pooling::mean, .flags = kFcNorm | kSquash, .structure = &kEva},
{.name = "eva_giant_patch14_clip_224", .size = {1408, 40, 16, 14, 224}, .statistics = kOpenAi, .crop_permille = 900, .mlp_hidden = 6144, .num_classes = 1024, .structure = &kEva},
{.name = "vit_7b_patch16_dinov3", .size = {4096, 40, 32, 16, 256}, .statistics = kImageNet, .crop_permille = 1000, .registers = 4, .mlp_hidden = 8192, .activation = Activation::silu, .pooling = Pooling::mean, .flags = kEpsilon5 | kLayerScale | kNoQkvBias | kSeveralWeights, .num_classes = 0, .structure = &kDinov3Gated},
{.name = "vit_base_patch16_dinov3", .size = {768, 12, 12, 16, 256}, .statistics = kImageNet, .crop_permille = 1000, .registers = 4, .pooling = Pooling::mean, .flags = kEpsilon5 | kLayerScale | kNoQkvBias, .num_classes = 0, .structure = &kDinov3},
{.name = "vit_base_patch16_dinov3_qkvb", .size = {768, 12, 12, 16, 256}, .statistics = kImageNet, .crop_permille = 1000, .registers = 4, .pooling = Pooling::mean, .flags = kEpsilon5 | kLayerScale, .num_classes = 0, .structure = &kDinov3},
{.name = "vit_base_patch16_lingbot", .size = {768, 12, 12, 16, 512}, .statistics = kImageNet, .crop_permille = 1000, .registers = 4, .flags = kEpsilon5 | kLayerScale | kSquash | kBilinear, .num_classes = 0, .structure = &kDinov3},
{.name = "vit_base_patch16_rope_224", .size = {768, 12, 12, 16, 224}, .statistics = kImageNet, .crop_permille = 900, .flags = kLayerScale, .structure = &kRopeAxialAlone},
{.name = "vit_base_patch16_rope_ape_224", .size = {768, 12, 12, 16, 224}, .statistics = kImageNet, .crop_permille = 900, .flags = kNoPrefixPosition | kLayerScale, .structure = &kRopeAxial},
{.name = "vit_base_patch16_rope_mixed_224", .size = {768, 12, 12, 16, 224}, .statistics = kImageNet, .crop_permille = 900, .flags = kLayerScale, .structure = &kRopeMixedAlone},
{.name = "vit_base_patch16_rope_mixed_ape_224", .size = {768, 12, 12, 16, 224}, .statistics = kImageNet, .crop_permille = 900, .flags = kNoPrefixPosition | kLayerScale, .structure = &kRopeMixed},
{.name = "vit_base_patch16_rope_reg1_gap_256", .size = {768, 12, 12, 16, 256}, .statistics = kHalf, .crop_permille = 950, .registers = 1, .pooling = Pooling::mean, .flags = kNoClass | kFcNorm | kLayerScale, .structure = &kRopeGap},
{.name = "vit_betwixt_patch16_rope_reg4_gap_256", .size = {640, 12, 10, 16, 256}, .statistics = kOpenAi, .crop_permille = 950, .registers = 4, .pooling = Pooling::mean, .flags = kNoClass | kFcNorm | kLayerScale, .structure = &kRopeGap},
{.name = "vit_giant_patch16_lingbot", .size = {1536, 40, 24, 16, 512}, .statistics = kImageNet, .crop_permille = 1000, .registers = 4, .mlp_hidden = 4096, .activation = Activation::silu, .flags = kEpsilon5 | kLayerScale | kNoQkvBias | kSquash | kBilinear, .num_classes = 0, .structure = &kDinov3Gated},
{.name = "vit_huge_plus_patch16_dinov3", .size = {1280, 32, 20, 16, 256}, .statistics = kImageNet, .crop_permille = 1000, .registers = 4, .activation = Activation::silu, .pooling = Pooling::mean, .flags = kEpsilon5 | kLayerScale | kNoQkvBias, .num_classes = 0, .structure = &kDinov3Gated},
{.name = "vit_huge_plus_patch16_dinov3_qkvb", .size = {1280, 32, 20, 16, 256}, .statistics = kImageNet, .crop_permille = 1000, .registers = 4, .activation = Activation::silu, .pooling = Pooling::mean, .flags = kEpsilon5 | kLayerScale, .num_classes = 0, .structure = &kDinov3Gated},
{.name = "vit_large_patch16_dinov3", .size = {1024, 24, 16, 16, 256}, .statistics = kImageNet, .crop_permille = 1000, .registers = 4, .pooling = Pooling::mean, .flags = kEpsilon5 | kLayerScale | kNoQkvBias | kSeveralWeights, .num_classes = 0, .structure = &kDinov3},
{.name = "vit_large_patch16_dinov3_qkvb", .size = {1024, 24, 16, 16, 256}, .statistics = kImageNet, .crop_permille = 1000, .registers = 4, .pooling = Pooling::mean, .flags = kEpsilon5 | kLayerScale | kSeveralWeights, .num_classes = 0, .structure = &kDinov3},
{.name = "vit_large_patch16_lingbot", .size = {1024, 24, 16, 16, 512}, .statistics = kImageNet, .crop_permille = 1000, .registers = 4, .flags = kEpsilon5 | kLayerScale | kSquash | kBilinear, .num_classes = 0, .structure = &kDinov3},
{.name = "vit_large_patch16_rope_224", .size = {1024, 24, 16, 16, 224}, .statistics = kImageNet, .crop_permille = 900, .flags = kLayerScale, .structure = &kRopeAxialAlone},
{.name = "vit_large_patch16_rope_ape_224", .size = {1024, 24, 16, 16, 224}, .statistics = kImageNet, .crop_permille = 900, .flags = kNoPrefixPosition | kLayerScale, .structure = &kRopeAxial},
{.name = "vit_large_patch16_rope_mixed_224", .size = {1024, 24, 16, 16, 224}, .statistics = kImageNet, .crop_permille = 900, .flags = kLayerScale, .structure = &kRopeMixedAlone},
{.name = "vit_large_patch16_rope_mixed_ape_224", .size = {1024, 24, 16, 16, 224}, .statistics = kImageNet, .crop_permille = 900, .flags = kNoPrefixPosition | kLayerScale, .structure = &kRopeMixed},
{.name = "vit_medium_patch16_rope_reg1_gap_256", .size = {512, 12, 8, 16, 256}, .statistics = kHalf, .crop_permille = 950, .registers = 1, .pooling = Pooling::mean, .flags = kNoClass | kFcNorm | kLayerScale, .structure = &kRopeGap},
{.name = "vit_mediumd_patch16_rope_reg1_gap_256", .size = {512, 20, 8, 16, 256}, .statistics = kHalf, .crop_permille = 950, .registers = 1, .pooling = Pooling::mean, .flags = kNoClass | kFcNorm | kLayerScale | kNoQkvBias, .structure = &kRopeGap},
{.name = "vit_pe_core_base_patch16_224", .size = {768, 12, 12, 16, 224}, .statistics = kHalf, .crop_permille = 1000, .pooling = Pooling::map_all, .flags = kEpsilon5 | kPreNorm, .num_classes = 1024, .structure = &kPe14},
{.name = "vit_pe_core_gigantic_patch14_448", .size = {1536, 50, 16, 14, 448}, .statistics = kHalf, .crop_permille = 1000, .mlp_hidden = 8960, .pooling = Pooling::map, .flags = kEpsilon5 | kNoClass | kPreNorm, .num_classes = 1280, .structure = &kPe32NoOffset},
{.name = "vit_pe_core_large_patch14_336", .size = {1024, 24, 16, 14, 336}, .statistics = kHalf, .crop_permille = 1000, .pooling = Pooling::map_all, .flags = kEpsilon5 | kPreNorm, .num_classes = 1024, .structure = &kPe24},
{.name = "vit_pe_core_small_patch16_384", .size = {384, 12, 6, 16, 384}, .statistics = kHalf, .crop_permille = 1000, .pooling = Pooling::map_all, .flags = kEpsilon5 | kPreNorm, .num_classes = 512, .structure = &kPe24},
{.name = "vit_pe_core_tiny_patch16_384", .size = {192, 12, 3, 16, 384}, .statistics = kHalf, .crop_permille = 1000, .pooling = Pooling::map_all, .flags = kEpsilon5 | kPreNorm, .num_classes = 512, .structure = &kPe24},
{.name = "vit_pe_lang_gigantic_patch14_448", .size = {1536, 47, 16, 14, 448}, .statistics = kHalf, .crop_permille = 1000, .mlp_hidden = 8960, .pooling = Pooling::mean, .flags = kEpsilon5 | kNoClass | kPreNorm | kNoFinalNorm | kLayerScale, .num_classes = 0, .structure = &kPe32NoOffset},
{.name = "vit_pe_lang_large_patch14_448", .size = {1024, 23, 16, 14, 448}, .statistics = kHalf, .crop_permille = 1000, .pooling = Pooling::mean, .flags = kEpsilon5 | kPreNorm | kNoFinalNorm | kLayerScale, .num_classes = 0, .structure = &kPe32},
{.name = "vit_pe_spatial_base_patch16_512", .size = {768, 12, 12, 16, 512}, .statistics = kHalf, .crop_permille = 1000, .pooling = Pooling::mean, .flags = kEpsilon5 | kPreNorm | kNoFinalNorm, .num_classes = 0, .structure = &kPe32},
{.name = "vit_pe_spatial_gigantic_patch14_448", .size = {1536, 50, 16, 14, 448}, .statistics = kHalf, .crop_permille = 1000, .mlp_hidden = 8960, .pooling = Pooling::mean, .flags = kEpsilon5 | kNoClass | kPreNorm | kNoFinalNorm | kLayerScale, .num_classes = 0, .structure = &kPe32NoOffset},
{.name = "vit_pe_spatial_large_patch14_448", .size = {1024, 24, 16, 14, 448}, .statistics = kHalf, .crop_permille = 1000, .pooling = Pooling::mean, .flags = kEpsilon5 | kPreNorm | kNoFinalNorm, .num_classes = 0, .structure = &kPe32},
{.name = "vit_pe_spatial_small_patch16_512", .size = {384, 12, 6, 16, 512}, .statistics = kHalf, .crop_permille = 1000, .pooling = Pooling::mean, .flags = kEpsilon5 | kPreNorm | kNoFinalNorm, .num_classes = 0, .structure = &kPe32},
{.name = "vit_pe_spatial_tiny_patch16_512", .size = {192, 12, 3, 16, 512}, .statistics = kHalf, .crop_permille = 1000, .pooling = Pooling::mean, .flags = kEpsilon5 | kPreNorm | kNoFinalNorm, .num_classes = 0, .structure = &kPe32},
{.name = "vit_small_patch16_dinov3", .size = {384, 12, 6, 16, 256}, .statistics = kImageNet, .crop_permille = 1000, .registers = 4, .pooling = Pooling::mean, .flags = kEpsilon5 | kLayerScale | kNoQkvBias, .num_classes = 0, .structure = &kDinov3},
{.name = "vit_small_patch16_dinov3_qkvb", .size = {384, 12, 6, 16, 256}, .statistics = kImageNet, .crop_permille = 1000, .registers = 4, .pooling = Pooling::mean, .flags = kEpsilon5 | kLayerScale, .num_classes = 0, .structure = &kDinov3},
{.name = "vit_small_patch16_lingbot", .size = {384, 12, 6, 16, 512}, .statistics = kImageNet, .crop_permille = 1000, .registers = 4, .flags = kEpsilon5 | kLayerScale | kSquash | kBilinear, .num_classes = 0, .structure = &kDinov3},
{.name = "vit_small_patch16_rope_224", .size = {384, 12, 6, 16, 224}, .statistics = kImageNet, .crop_permille = 900, .flags = kLayerScale, .structure = &kRopeAxialAlone},
{.name = "vit_small_patch16_rope_ape_224", .size = {384, 12, 6, 16, 224}, .statistics = kImageNet, .crop_permille = 900, .flags = kNoPrefixPosition | kLayerScale, .structure = &kRopeAxial},
{.name = "vit_small_patch16_rope_mixed_224", .size = {384, 12, 6, 16, 224}, .statistics = kImageNet, .crop_permille = 900, .flags = kLayerScale, .structure = &kRopeMixedAlone},
{.name = "vit_small_patch16_rope_mixed_ape_224", .size = {384, 12, 6, 16, 224}, .statistics = kImageNet, .crop_permille = 900, .flags = kNoPrefixPosition | kLayerScale, .structure = &kRopeMixed},
{.name = "vit_small_plus_patch16_dinov3", .size = {384, 12, 6, 16, 256}, .statistics = kImageNet, .crop_permille = 1000, .registers = 4, .activation = Activation::silu, .pooling = Pooling::mean, .flags = kEpsilon5 | kLayerScale | kNoQkvBias, .num_classes = 0, .structure = &kDinov3Gated},
{.name = "vit_small_plus_patch16_dinov3_qkvb", .size = {384, 12, 6, 16, 256}, .statistics = kImageNet, .crop_permille = 1000, .registers = 4, .activation = Activation::silu, .pooling = Pooling::mean, .flags = kEpsilon5 | kLayerScale, .num_classes = 0, .structure = &kDinov3Gated},
{.name = "vit_tiny_patch16_dinov3_qkvb", .size = {192, 12, 3, 16, 256}, .statistics = kImageNet, .crop_permille = 1000, .registers = 4, .pooling = Pooling::mean, .flags = kEpsilon5 | kLayerScale, .num_classes = 0, .structure = &kDinov3},
{.name = "beit_base_patch16_224", .size = {768, 12, 12, 16, 224}, .statistics = kHalf, .crop_permille = 900, .pooling = Pooling::mean, .flags = kFcNorm | kLayerScale, .structure = &kBeit},
{.name = "beit_base_patch16_384", .size = {768, 12, 12, 16, 384}, .statistics = kHalf, .crop_permille = 1000, .pooling = Pooling::mean, .flags = kFcNorm | kLayerScale, .structure = &kBeit},
{.name = "beit_large_patch16_224", .size = {1024, 24, 16, 16, 224}, .statistics = kHalf, .crop_permille = 900, .pooling = Pooling::mean, .flags = kFcNorm | kLayerScale, .structure = &kBeit},
{.name = "beit_large_patch16_384", .size = {1024, 24, 16, 16, 384}, .statistics = kHalf, .crop_permille = 1000, .pooling = Pooling::mean, .flags = kFcNorm | kLayerScale, .structure = &kBeit},
{.name = "beit_large_patch16_512", .size = {1024, 24, 16, 16, 512}, .statistics = kHalf, .crop_permille = 1000, .pooling = Pooling::mean, .flags = kFcNorm | kLayerScale, .structure = &kBeit},
{.name = "beitv2_base_patch16_224", .size = {768, 12, 12, 16, 224}, .statistics = kImageNet, .crop_permille = 900, .pooling = Pooling::mean, .flags = kFcNorm | kLayerScale, .structure = &kBeit},
{.name = "beitv2_large_patch16_224", .size = {1024, 24, 16, 16, 224}, .statistics = kImageNet, .crop_permille = 950, .pooling = Pooling::mean, .flags = kFcNorm | kLayerScale | kSeveralWeights, .structure = &kBeit},
{.name = "test_vit_relpos", .size = {96, 9, 3, 16, 160}, .statistics = kHalf, .crop_permille = 950, .mlp_hidden = 192, .pooling = Pooling::mean, .flags = kNoClass | kFcNorm | kLayerScale | kNoQkvBias, .structure = &kRelPos},
{.name = "vit_relpos_base_patch16_224", .size = {768, 12, 12, 16, 224}, .statistics = kHalf, .crop_permille = 900, .pooling = Pooling::mean, .flags = kNoClass | kFcNorm | kLayerScale | kNoQkvBias, .structure = &kRelPos},
{.name = "vit_relpos_base_patch16_cls_224", .size = {768, 12, 12, 16, 224}, .statistics = kHalf, .crop_permille = 900, .flags = kLayerScale | kNoQkvBias, .structure = &kRelPos},
{.name = "vit_relpos_base_patch16_clsgap_224", .size = {768, 12, 12, 16, 224}, .statistics = kHalf, .crop_permille = 900, .pooling = Pooling::mean, .flags = kFcNorm | kLayerScale | kNoQkvBias, .structure = &kRelPos},
{.name = "vit_relpos_base_patch16_plus_240", .size = {896, 12, 14, 16, 240}, .statistics = kHalf, .crop_permille = 900, .pooling = Pooling::mean, .flags = kNoClass | kLayerScale, .structure = &kRelPos},
{.name = "vit_relpos_base_patch16_rpn_224", .size = {768, 12, 12, 16, 224}, .statistics = kHalf, .crop_permille = 900, .pooling = Pooling::mean, .flags = kNoClass | kNoQkvBias | kResPost, .structure = &kRelPos},
{.name = "vit_relpos_base_patch32_plus_rpn_256", .size = {896, 12, 14, 32, 256}, .statistics = kHalf, .crop_permille = 900, .pooling = Pooling::mean, .flags = kNoClass | kResPost, .structure = &kRelPos},
{.name = "vit_relpos_medium_patch16_224", .size = {512, 12, 8, 16, 224}, .statistics = kHalf, .crop_permille = 900, .pooling = Pooling::mean, .flags = kNoClass | kFcNorm | kLayerScale | kNoQkvBias, .structure = &kRelPos},
{.name = "vit_relpos_medium_patch16_cls_224", .size = {512, 12, 8, 16, 224}, .statistics = kHalf, .crop_permille = 900, .flags = kLayerScale | kNoQkvBias, .structure = &kRelPos256},
{.name = "vit_relpos_medium_patch16_rpn_224", .size = {512, 12, 8, 16, 224}, .statistics = kHalf, .crop_permille = 900, .pooling = Pooling::mean, .flags = kNoClass | kNoQkvBias | kResPost, .structure = &kRelPos},
{.name = "vit_relpos_small_patch16_224", .size = {384, 12, 6, 16, 224}, .statistics = kHalf, .crop_permille = 900, .pooling = Pooling::mean, .flags = kNoClass | kFcNorm | kLayerScale | kNoQkvBias, .structure = &kRelPos},
{.name = "vit_relpos_small_patch16_rpn_224", .size = {384, 12, 6, 16, 224}, .statistics = kHalf, .crop_permille = 900, .pooling = Pooling::mean, .flags = kNoClass | kNoQkvBias | kResPost, .structure = &kRelPos},
{.name = "vit_srelpos_medium_patch16_224", .size = {512, 12, 8, 16, 224}, .statistics = kHalf, .crop_permille = 900, .pooling = Pooling::mean, .flags = kNoClass | kLayerScale | kNoQkvBias, .structure = &kSharedRelPos512},
{.name = "vit_srelpos_small_patch16_224", .size = {384, 12, 6, 16, 224}, .statistics = kHalf, .crop_permille = 900, .pooling = Pooling::mean, .flags = kNoClass | kLayerScale | kNoQkvBias, .structure = &kSharedRelPos384},
{.name = "dinov2_vits14", .size = {384, 12, 6, 14, 518}, .statistics = kImageNet, .crop_permille = 875, .flags = kLayerScale | kOffsetResize, .num_classes = 0, .picture = 224},
{.name = "dinov2_vits14_reg4", .size = {384, 12, 6, 14, 518}, .statistics = kImageNet, .crop_permille = 875, .registers = 4, .flags = kLayerScale, .num_classes = 0, .picture = 224},
{.name = "dinov2_vitb14", .size = {768, 12, 12, 14, 518}, .statistics = kImageNet, .crop_permille = 875, .flags = kLayerScale | kOffsetResize, .num_classes = 0, .picture = 224},
{.name = "dinov2_vitb14_reg4", .size = {768, 12, 12, 14, 518}, .statistics = kImageNet, .crop_permille = 875, .registers = 4, .flags = kLayerScale, .num_classes = 0, .picture = 224},
{.name = "dinov2_vitl14", .size = {1024, 24, 16, 14, 518}, .statistics = kImageNet, .crop_permille = 875, .flags = kLayerScale | kOffsetResize, .num_classes = 0, .picture = 224},
{.name = "dinov2_vitl14_reg4", .size = {1024, 24, 16, 14, 518}, .statistics = kImageNet, .crop_permille = 875, .registers = 4, .flags = kLayerScale, .num_classes = 0, .picture = 224},
{.name = "dinov2_vitg14", .size = {1536, 40, 24, 14, 518}, .statistics = kImageNet, .crop_permille = 875, .mlp_hidden = 4096, .activation = Activation::silu, .flags = kLayerScale | kGated | kOffsetResize, .num_classes = 0, .picture = 224},
{.name = "dinov2_vitg14_reg4", .size = {1536, 40, 24, 14, 518}, .statistics = kImageNet, .crop_permille = 875, .registers = 4, .mlp_hidden = 4096, .activation = Activation::silu, .flags = kLayerScale | kGated, .num_classes = 0, .picture = 224},
};
// clang-format on

}  // namespace

std::span<const PublishedArchitecture> published_architectures() {
  return kArchitectures;
}

}  // namespace vitrail
