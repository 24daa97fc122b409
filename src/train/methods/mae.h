// Masked autoencoding as a method of training (models/mae.h).
#pragma once

#include <functional>

#include "models/mae.h"
#include "train/methods/method.h"

namespace vitrail {

class MaeMethod : public Method {
 public:
  using MaskSource = std::function<PatchMask(const Batch&, const StepNumbers&)>;

  // Masks come from the run's seed, the step and the pictures' indices, unless `masks` draws them.
  // Error: the config's.
  explicit MaeMethod(const MaeConfig& config, MaskSource masks = nullptr);

  Network& model() override { return encoder_; }
  ParameterRegistry& parameters() override { return autoencoder_.parameters(); }
  MethodLoss forward(Context& context, const Batch& batch, const StepNumbers& numbers) override;
  // reconstruction.png: the pictures, what the encoder saw of them, and what the decoder made of
  // it, a row each.
  void illustrate(Queue& queue, const Batch& batch, const Preprocess& preprocess,
                  const std::filesystem::path& folder) override;

  MaskedAutoencoder& autoencoder() { return autoencoder_; }

 private:
  VisionTransformer encoder_;
  MaskedAutoencoder autoencoder_;
  MaskSource masks_;
};

}  // namespace vitrail
