#include "train/methods/supervised.h"

namespace vitrail {

MethodLoss SupervisedMethod::forward(Context& context, const Batch& batch, const StepNumbers&) {
  const NetworkOutput output = model_.forward(context, batch.images);
  return {.loss = classification_loss(context, output.logits, batch, loss_),
          .correct = count_correct(output.logits.value(), batch.labels)};
}

}  // namespace vitrail
