// The supervised method: pictures with labels, or with the mixed targets of mixup and CutMix.
#pragma once

#include "train/methods/loss.h"
#include "train/methods/method.h"

namespace vitrail {

class SupervisedMethod : public Method {
 public:
  // The model must outlive the method.
  SupervisedMethod(Network& model, const LossOptions& loss) : model_(model), loss_(loss) {}

  Network& model() override { return model_; }
  ParameterRegistry& parameters() override { return model_.parameters(); }
  MethodLoss forward(Context& context, const Batch& batch, const StepNumbers& numbers) override;

 private:
  Network& model_;
  LossOptions loss_;
};

}  // namespace vitrail
