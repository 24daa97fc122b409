// A convolution with batch normalisation behind it, and what follows both in the same pass: the
// layer that mobile and hybrid networks are made of. In inference the two are one product
// (nn/registry.h), and activation, LayerScale and residual ride on it where the kernel is 1x1.
#pragma once

#include <optional>

#include "nn/batch_norm.h"
#include "ops/convolution.h"
#include "ops/linear.h"

namespace vitrail {

struct NormedConvolutionConfig {
  int64_t inputs = 0, outputs = 0;  // as many where it is depth-wise
  int64_t kernel = 1, stride = 1;
  std::optional<int64_t> padding;  // none: half of the kernel
  bool depthwise = false;          // each channel with a filter of its own
  bool matrix = false;             // a weight [outputs, inputs], of tokens: 1x1 under another name
  bool bias = false;               // of the convolution
  BatchNorm::Options norm;
  // Of the filter. None: He et al. 2015, eq. 10, with the fan of the outputs.
  std::optional<Initializer> initializer;
  // Of the filter. A stem's is Muon::none; a depth-wise one is never Muon's.
  ParameterRole::Muon muon = ParameterRole::Muon::normalised_filter;
};

class NormedConvolution {
 public:
  // Parameters: convolution.{weight [outputs, inputs or 1, k, k], bias}, norm.{weight, bias,
  // running_mean, running_var}. Error: a depth-wise convolution that changes the number of
  // channels.
  NormedConvolution(const Scope& convolution, const Scope& norm,
                    const NormedConvolutionConfig& config);
  // "conv" and "bn" in one scope, as timm has them.
  NormedConvolution(const Scope& scope, const NormedConvolutionConfig& config)
      : NormedConvolution(scope.child("conv"), scope.child("bn"), config) {}

  // x [B, H, W, inputs] to [B, cells(H), cells(W), outputs]; 1x1 of stride 1 takes tokens [..., C]
  // of any rank. The epilogue's destination is not written.
  Variable forward(const Context& context, const Variable& x,
                   const LinearEpilogue& epilogue = {}) const;

  // Along an axis of so many pixels.
  int64_t cells(int64_t pixels) const {
    return (pixels + 2 * padding() - config_.kernel) / config_.stride + 1;
  }
  // Of an input of height x width pixels.
  int64_t multiply_adds(int64_t height, int64_t width) const;
  int64_t outputs() const { return config_.outputs; }

 private:
  int64_t padding() const { return config_.padding.value_or(config_.kernel / 2); }
  bool is_product() const {
    return config_.kernel == 1 && config_.stride == 1 && padding() == 0 && !config_.depthwise;
  }
  Variable convolve(const Context& context, const Variable& x, const Parameter* bias,
                    const LinearEpilogue& epilogue) const;

  NormedConvolutionConfig config_;
  Parameter& weight_;
  Parameter* bias_;  // null: none
  BatchNorm norm_;
  const BatchNormFold& fold_;
};

}  // namespace vitrail
