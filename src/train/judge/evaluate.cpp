#include "train/judge/evaluate.h"

#include <array>

#include "ops/binary_cross_entropy.h"
#include "ops/softmax_cross_entropy.h"
#include "tasks/classify.h"
#include "tasks/multi_label.h"
#include "train/judge/picture_rows.h"
#include "train/judge/tally.h"
#include "train/methods/loss.h"

namespace vitrail {

namespace {

// A row a picture: its logits, then its labels; every process's, in the order of the pictures.
Evaluation evaluate_several(const Network& model, Queue& queue, Loader& loader,
                            GradientExchange* exchange) {
  const int64_t classes = model.class_answer().classes;
  const Context context(queue);
  PictureRows rows{.width = 2 * classes};
  Batch batch;
  loader.start(0);
  while (loader.next(batch)) {
    const Tensor logits = model.forward(context, batch.images).logits.value();
    const int64_t* labels = batch.labels.data<int64_t>();
    for (int64_t i = 0; i < logits.size(0); ++i) {
      const float* row = logits.f32() + i * classes;
      rows.values.insert(rows.values.end(), row, row + classes);
      for (int64_t c = 0; c < classes; ++c)
        rows.values.push_back(static_cast<float>(labels[i * classes + c]));
    }
    rows.indices.insert(rows.indices.end(), batch.indices.begin(), batch.indices.end());
  }
  if (exchange != nullptr) rows = gather(rows, *exchange);
  Tensor logits = Tensor::empty({rows.size(), classes});
  Tensor labels = Tensor::empty({rows.size(), classes}, DType::i64);
  for (int64_t i = 0; i < rows.size(); ++i)
    for (int64_t c = 0; c < classes; ++c) {
      const float* row = rows.values.data() + i * rows.width;
      logits.f32()[i * classes + c] = row[c];
      labels.data<int64_t>()[i * classes + c] = row[classes + c] > 0 ? 1 : 0;
    }
  return evaluate_labels(logits, labels);
}

}  // namespace

Evaluation evaluate_labels(const Tensor& logits, const Tensor& labels) {
  const int64_t classes = logits.size(1);
  MultiLabelJudge judge(classes, kThreshold);
  std::vector<int64_t> there;
  for (int64_t i = 0; i < logits.size(0); ++i) {
    there.clear();
    for (int64_t c = 0; c < classes; ++c)
      if (labels.data<int64_t>()[i * classes + c] == 1) there.push_back(c);
    judge.add({logits.f32() + i * classes, static_cast<size_t>(classes)}, there);
  }
  const MultiLabelScores scores = judge.finish();
  return {.loss = scores.loss,
          .accuracy = scores.exact_match(),
          .pictures = scores.pictures,
          // Pictures that show nothing rank nothing.
          .map = scores.classes_shown == 0 ? 0 : scores.mean_average_precision};
}

Evaluation evaluate(const Network& model, Queue& queue, Loader& loader,
                    GradientExchange* exchange) {
  if (model.class_answer().multi_label) return evaluate_several(model, queue, loader, exchange);
  const bool binary = model.class_answer().meaning == Answer::sigmoid;
  const Context context(queue);
  Tally tally;
  Batch batch;
  loader.start(0);
  while (loader.next(batch)) {
    const Variable logits = model.forward(context, batch.images).logits;
    const Variable loss = binary ? binary_cross_entropy(context, logits, batch.labels)
                                 : softmax_cross_entropy(context, logits, batch.labels);
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
