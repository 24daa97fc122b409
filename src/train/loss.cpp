#include "train/loss.h"

#include <algorithm>

#include "ops/softmax_cross_entropy.h"

namespace vitrail {

Variable classification_loss(const Context& context, const Variable& logits, const Batch& batch,
                             const LossOptions& options) {
  return softmax_cross_entropy(context, logits, batch.labels, options.label_smoothing);
}

int64_t count_correct(const Tensor& logits, const Tensor& labels) {
  const int64_t classes = logits.size(1);
  int64_t correct = 0;
  for (int64_t i = 0; i < logits.size(0); ++i) {
    const float* row = logits.f32() + i * classes;
    correct += std::max_element(row, row + classes) - row == labels.data<int64_t>()[i];
  }
  return correct;
}

}  // namespace vitrail
