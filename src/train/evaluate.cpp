#include "train/evaluate.h"

#include "ops/softmax_cross_entropy.h"
#include "train/checkpoint.h"
#include "train/loss.h"

namespace vitrail {

Evaluation evaluate(const VisionTransformer& model, Queue& queue, Loader& loader) {
  const Context context(queue);
  Tally tally;
  Batch batch;
  loader.start(0);
  while (loader.next(batch)) {
    const Variable logits = model.forward(context, batch.images).logits;
    const Variable loss = softmax_cross_entropy(context, logits, batch.labels);
    tally.add(loss.value().f32()[0], count_correct(logits.value(), batch.labels),
              batch.images.size(0));
  }
  return {.loss = tally.mean_loss(), .accuracy = tally.accuracy(), .pictures = tally.pictures};
}

}  // namespace vitrail
