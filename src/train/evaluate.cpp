#include "train/evaluate.h"

#include <array>

#include "ops/softmax_cross_entropy.h"
#include "train/loss.h"
#include "train/tally.h"

namespace vitrail {

Evaluation evaluate(const VisionTransformer& model, Queue& queue, Loader& loader,
                    GradientExchange* exchange) {
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
  if (exchange != nullptr) {
    std::array<double, 3> sums{tally.loss, static_cast<double>(tally.correct),
                               static_cast<double>(tally.pictures)};
    exchange->sum(sums);
    tally = {.loss = sums[0],
             .correct = static_cast<int64_t>(sums[1]),
             .pictures = static_cast<int64_t>(sums[2])};
  }
  return {.loss = tally.mean_loss(), .accuracy = tally.accuracy(), .pictures = tally.pictures};
}

}  // namespace vitrail
