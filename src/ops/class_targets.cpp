#include "ops/class_targets.h"

#include "core/error.h"

namespace vitrail {

void check_labels(const char* place, const Variable& logits, const Tensor& labels) {
  check(logits.shape().rank() == 2, place, "logits of {} must be [B, C]", logits.shape().str());
  check(labels.dtype() == DType::i64 && labels.shape() == Shape{logits.size(0)}, place,
        "labels of {} {} must be i64 [{}], one for each row of logits", name_of(labels.dtype()),
        labels.shape().str(), logits.size(0));
  for (int64_t row = 0; row < logits.size(0); ++row) {
    const int64_t label = labels.data<int64_t>()[row];
    check(label >= 0 && label < logits.size(1), place, "label {} of row {} must be in [0, {})",
          label, row, logits.size(1));
  }
}

void check_soft_targets(const char* place, const Variable& logits, const Tensor& targets) {
  check(logits.shape().rank() == 2, place, "logits of {} must be [B, C]", logits.shape().str());
  check(targets.dtype() == DType::f32 && targets.shape() == logits.shape(), place,
        "soft targets of {} {} must be f32 {}", name_of(targets.dtype()), targets.shape().str(),
        logits.shape().str());
}

void check_averaged(const char* place, const Variable& logits, double label_smoothing) {
  check(logits.size(0) > 0 && logits.size(1) > 0, place, "logits of {} hold nothing to average",
        logits.shape().str());
  check(label_smoothing >= 0 && label_smoothing <= 1, place, "label smoothing {} must be in [0, 1]",
        label_smoothing);
}

kernels::CrossEntropyTargets class_targets(const Tensor& targets, double label_smoothing) {
  const bool soft = targets.dtype() == DType::f32;
  return {.labels = soft ? nullptr : targets.data<int64_t>(),
          .soft = soft ? targets.f32() : nullptr,
          .label_smoothing = static_cast<float>(label_smoothing)};
}

}  // namespace vitrail
