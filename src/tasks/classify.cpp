#include "tasks/classify.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/rows.h"

namespace vitrail {

std::vector<Prediction> top_predictions(std::span<const float> logits, const ClassLabels& labels,
                                        int64_t k) {
  check(std::all_of(logits.begin(), logits.end(), [](float x) { return std::isfinite(x); }),
        "classify", "the model answers with logits that are not finite; see vitrail doctor");
  std::vector<int64_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto count = std::min<size_t>(static_cast<size_t>(std::max<int64_t>(k, 0)), order.size());
  const auto better = [&](int64_t a, int64_t b) {
    const float left = logits[static_cast<size_t>(a)], right = logits[static_cast<size_t>(b)];
    return left != right ? left > right : a < b;
  };
  std::partial_sort(order.begin(), order.begin() + static_cast<int64_t>(count), order.end(),
                    better);
  if (count == 0) return {};
  const double largest = logits[static_cast<size_t>(order[0])];
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - largest);
  std::vector<Prediction> top;
  for (size_t i = 0; i < count; ++i) {
    const float logit = logits[static_cast<size_t>(order[i])];
    top.push_back({.index = order[i],
                   .label = labels.name(order[i]),
                   .probability = std::exp(logit - largest) / sum,
                   .logit = logit});
  }
  return top;
}

Classification judge(const Model& model, std::span<const float> logits,
                     std::span<const float> features, int64_t k) {
  Classification answer{.top = top_predictions(logits, model.labels, k)};
  if (!model.rejection || answer.top.empty()) return answer;
  answer.certainty = model.rejection->certainty(answer.top.front().probability, features);
  answer.none = model.rejection->rejects(*answer.certainty);
  return answer;
}

std::vector<Classification> classify(Session& session, const PreparedBatch& batch, int64_t k) {
  const Model& model = session.model();
  const int64_t classes = model.network->config().num_classes;
  check(classes > 0, "classify",
        "{} has no head and so no classes; vitrail embed gives its features", model.name);
  std::vector<Classification> answers(batch.errors.size());
  const bool any_read = std::any_of(batch.errors.begin(), batch.errors.end(),
                                    [](const std::string& error) { return error.empty(); });
  Tensor logits, features;
  if (any_read) {
    const VitOutput output = session.run(batch.images);
    logits = output.logits.value();
    features = output.pooled.value();
  }
  for (size_t i = 0; i < answers.size(); ++i) {
    const auto row = static_cast<int64_t>(i);
    if (batch.errors[i].empty())
      answers[i] = judge(model, row_of(logits, row), row_of(features, row), k);
    else
      answers[i].error = batch.errors[i];
  }
  return answers;
}

}  // namespace vitrail
