// A convolution with batch normalisation behind it, and what follows both in the same pass: the
// layer that mobile and hybrid networks are made of.
//
// With running statistics the two are one affine map, so inference multiplies by a filter into
// which the norm is folded, and activation, LayerScale and residual ride on that product where the
// kernel is 1x1. With a tape, or with statistics of the batch, they are the recorded operations.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "nn/registry.h"
#include "ops/batch_norm.h"
#include "ops/convolution.h"
#include "ops/linear.h"

namespace vitrail {

struct ConvNormConfig {
  int64_t inputs = 0, outputs = 0;  // as many where it is depth-wise
  int64_t kernel = 1, stride = 1;   // an odd kernel; it is padded by half of it
  bool depthwise = false;           // each channel with a filter of its own
  bool matrix = false;              // a weight [outputs, inputs], of tokens: 1x1 under another name
  bool bias = false;                // of the convolution
  double epsilon = 1e-5;
  double gamma = 1;  // what the norm's weight begins with
  // Of the filter. A stem's is Muon::none; a depth-wise one is never Muon's.
  ParameterRole::Muon muon = ParameterRole::Muon::normalised_filter;
};

class ConvNorm {
 public:
  // Parameters: convolution.{weight [outputs, inputs or 1, k, k], bias}, norm.{weight, bias,
  // running_mean, running_var}. Error: a depth-wise convolution that changes the number of
  // channels.
  ConvNorm(const Scope& convolution, const Scope& norm, const ConvNormConfig& config);
  // "conv" and "bn" in one scope, as timm has them.
  ConvNorm(const Scope& scope, const ConvNormConfig& config)
      : ConvNorm(scope.child("conv"), scope.child("bn"), config) {}

  // x [B, H, W, inputs] to [B, cells(H), cells(W), outputs]; 1x1 of stride 1 takes tokens [..., C]
  // of any rank. The epilogue's destination is not written.
  Variable forward(const Context& context, const Variable& x,
                   const LinearEpilogue& epilogue = {}) const;

  // Along an axis of so many pixels.
  int64_t cells(int64_t pixels) const { return (pixels - 1) / config_.stride + 1; }
  // Of an input of height x width pixels.
  int64_t multiply_adds(int64_t height, int64_t width) const;
  int64_t outputs() const { return config_.outputs; }

 private:
  // Filter and bias with the norm in them, and the versions of what they were made of.
  struct Folded;
  std::shared_ptr<const Folded> folded() const;
  bool folds(const Context& context, const Variable& x, const LinearEpilogue& epilogue) const;
  bool is_product() const {
    return config_.kernel == 1 && config_.stride == 1 && !config_.depthwise;
  }
  Variable convolve(const Context& context, const Variable& x, const Parameter& weight,
                    const Parameter* bias, const LinearEpilogue& epilogue) const;

  ConvNormConfig config_;
  Parameter& weight_;
  Parameter* bias_;
  BatchNormWeights norm_;
  // Sessions on several threads share it.
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const Folded> folded_;
};

}  // namespace vitrail
