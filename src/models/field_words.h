// The words that configurations have for the values of enums (formats/option_fields.h).
#pragma once

#include <array>
#include <span>

#include "formats/option_fields.h"
#include "kernels/activation.h"
#include "kernels/layer_norm.h"
#include "models/class_answer.h"
#include "models/pooling.h"
#include "nn/resnet_config.h"
#include "nn/variants.h"

namespace vitrail::kernels {

inline constexpr std::array kActivations{
    Word{Activation::none, "none"},           Word{Activation::gelu, "gelu"},
    Word{Activation::gelu_tanh, "gelu_tanh"}, Word{Activation::quick_gelu, "quick_gelu"},
    Word{Activation::relu, "relu"},           Word{Activation::silu, "silu"},
    Word{Activation::tanh, "tanh"},           Word{Activation::hard_swish, "hard_swish"}};
constexpr auto words_of(Activation) {
  return std::span(kActivations);
}
inline constexpr std::array kNormKinds{Word{NormKind::layer, "layer_norm"},
                                       Word{NormKind::root_mean_square, "rms_norm"}};
constexpr auto words_of(NormKind) {
  return std::span(kNormKinds);
}

}  // namespace vitrail::kernels

namespace vitrail {

inline constexpr std::array kPatchEmbeddings{
    Word{PatchEmbedding::convolution, "convolution"}, Word{PatchEmbedding::linear, "linear"},
    Word{PatchEmbedding::tokenizer, "tokenizer"}, Word{PatchEmbedding::resnet, "resnet"}};
inline constexpr std::array kPositions{
    Word{Position::none, "none"}, Word{Position::learned, "learned"},
    Word{Position::sinusoidal_1d, "sinusoidal_1d"}, Word{Position::sincos_2d, "sincos_2d"},
    Word{Position::sincos_2d_closed, "sincos_2d_closed"}};
inline constexpr std::array kPositionResizes{
    Word{PositionResize::bicubic_antialias, "bicubic_antialias"},
    Word{PositionResize::bicubic, "bicubic"},
    Word{PositionResize::bicubic_offset, "bicubic_offset"},
    Word{PositionResize::bilinear, "bilinear"},
    Word{PositionResize::bilinear_antialias, "bilinear_antialias"}};
inline constexpr std::array kRotaries{Word{Rotary::none, "none"}, Word{Rotary::axial, "axial"},
                                      Word{Rotary::mixed, "mixed"}};
inline constexpr std::array kRotaryCoordinates{Word{RotaryCoordinates::index, "index"},
                                               Word{RotaryCoordinates::centred, "centred"},
                                               Word{RotaryCoordinates::pixel, "pixel"}};
inline constexpr std::array kRelativePositions{
    Word{RelativePosition::none, "none"}, Word{RelativePosition::table, "table"},
    Word{RelativePosition::mlp, "mlp"}, Word{RelativePosition::mlp_swin, "mlp_swin"}};
inline constexpr std::array kRelativeResizes{
    Word{RelativeResize::refused, "refused"}, Word{RelativeResize::bilinear, "bilinear"},
    Word{RelativeResize::bicubic, "bicubic"}, Word{RelativeResize::geometric, "geometric"}};
inline constexpr std::array kNormPlacements{
    Word{NormPlacement::pre, "pre"},           Word{NormPlacement::post, "post"},
    Word{NormPlacement::res_post, "res_post"}, Word{NormPlacement::none, "none"},
    Word{NormPlacement::cct, "cct"},           Word{NormPlacement::parallel, "parallel"}};
inline constexpr std::array kMlpKinds{
    Word{MlpKind::plain, "plain"}, Word{MlpKind::gated_packed, "gated_packed"},
    Word{MlpKind::gated_packed_gate_last, "gated_packed_gate_last"},
    Word{MlpKind::gated_split, "gated_split"}};
inline constexpr std::array kHeadMixings{
    Word{HeadMixingKind::none, "none"}, Word{HeadMixingKind::projections, "projections"},
    Word{HeadMixingKind::matrices, "matrices"}, Word{HeadMixingKind::reattention, "reattention"}};
inline constexpr std::array kNormalisations{Word{Normalisation::group, "group"},
                                            Word{Normalisation::batch, "batch"}};
inline constexpr std::array kPoolings{Word{Pooling::class_token, "class_token"},
                                      Word{Pooling::mean, "mean"},
                                      Word{Pooling::mean_all, "mean_all"},
                                      Word{Pooling::class_and_mean, "class_and_mean"},
                                      Word{Pooling::distilled, "distilled"},
                                      Word{Pooling::sequence, "sequence"},
                                      Word{Pooling::map, "map"},
                                      Word{Pooling::map_all, "map_all"}};
inline constexpr std::array kAnswers{Word{Answer::softmax, "softmax"},
                                     Word{Answer::sigmoid, "sigmoid"}, Word{Answer::raw, "raw"}};

constexpr auto words_of(PatchEmbedding) {
  return std::span(kPatchEmbeddings);
}
constexpr auto words_of(Position) {
  return std::span(kPositions);
}
constexpr auto words_of(PositionResize) {
  return std::span(kPositionResizes);
}
constexpr auto words_of(Rotary) {
  return std::span(kRotaries);
}
constexpr auto words_of(RotaryCoordinates) {
  return std::span(kRotaryCoordinates);
}
constexpr auto words_of(RelativePosition) {
  return std::span(kRelativePositions);
}
constexpr auto words_of(RelativeResize) {
  return std::span(kRelativeResizes);
}
constexpr auto words_of(NormPlacement) {
  return std::span(kNormPlacements);
}
constexpr auto words_of(MlpKind) {
  return std::span(kMlpKinds);
}
constexpr auto words_of(HeadMixingKind) {
  return std::span(kHeadMixings);
}
constexpr auto words_of(Normalisation) {
  return std::span(kNormalisations);
}
constexpr auto words_of(Pooling) {
  return std::span(kPoolings);
}
constexpr auto words_of(Answer) {
  return std::span(kAnswers);
}

}  // namespace vitrail
