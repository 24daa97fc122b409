#include "tasks/classify.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/advice.h"
#include "core/error.h"
#include "core/rows.h"
#include "models/answer.h"

namespace vitrail {

std::vector<Prediction> top_predictions(std::span<const float> logits, const ClassLabels& labels,
                                        int64_t k, Answer answer) {
  check(std::all_of(logits.begin(), logits.end(), [](float x) { return std::isfinite(x); }),
        "classify", "the model answers with logits that are not finite; see {}",
        said(Deed::doctor));
  std::vector<int64_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto count = std::min<size_t>(static_cast<size_t>(std::max<int64_t>(k, 0)), order.size());
  const auto better = [&](int64_t a, int64_t b) {
    const float left = logits[static_cast<size_t>(a)], right = logits[static_cast<size_t>(b)];
    return left != right ? left > right : a < b;
  };
  std::partial_sort(order.begin(), order.begin() + static_cast<int64_t>(count), order.end(),
                    better);
  const std::vector<double> scores = scores_of(answer, logits);
  std::vector<Prediction> top;
  for (size_t i = 0; i < count; ++i) {
    const auto at = static_cast<size_t>(order[i]);
    top.push_back({.index = order[i],
                   .label = labels.name(order[i]),
                   .probability = answer == Answer::raw ? std::nan("") : scores[at],
                   .logit = logits[at]});
  }
  return top;
}

namespace {

void check_threshold(const AnswerOptions& options) {
  check(options.threshold > 0 && options.threshold < 1, "classify",
        "the threshold is {}; it must lie between 0 and 1", options.threshold);
}

}  // namespace

Classification judge(const Model& model, std::span<const float> logits,
                     std::span<const float> features, const AnswerOptions& options) {
  constexpr int64_t kNamed = 5;
  check_threshold(options);
  const ClassAnswer answers = model.network->class_answer();
  Classification answer;
  if (answers.multi_label)
    answer.above = std::ranges::count_if(
        logits, [&](float logit) { return reaches(logit, options.threshold); });
  const int64_t k = options.top.value_or(std::max(kNamed, answer.above));
  answer.top = top_predictions(logits, model.labels, k, answers.meaning);
  if (!model.rejection || answer.top.empty()) return answer;
  answer.certainty = model.rejection->certainty(answer.top.front().probability, features);
  answer.none = model.rejection->rejects(*answer.certainty);
  return answer;
}

void check_has_classes(const Model& model) {
  const int64_t classes = model.network->class_answer().classes;
  check(classes > 0, ErrorCode::unsupported, "classify",
        "{} has no head and so no classes; {} gives its features", model.name, said(Deed::embed));
}

std::vector<Classification> classify(Session& session, const PreparedBatch& batch,
                                     const AnswerOptions& options) {
  const Model& model = session.model();
  check_has_classes(model);
  check_threshold(options);
  std::vector<Classification> answers(batch.errors.size());
  const bool any_read = std::any_of(batch.errors.begin(), batch.errors.end(),
                                    [](const std::string& error) { return error.empty(); });
  Tensor logits, features;
  if (any_read) {
    const NetworkOutput output = session.run(batch.images);
    logits = output.logits.value();
    features = output.pooled.value();
  }
  for (size_t i = 0; i < answers.size(); ++i) {
    const auto row = static_cast<int64_t>(i);
    Classification& answer = answers[i];
    if (!batch.errors[i].empty()) {
      answer.error = batch.errors[i];
      answer.code = batch.codes[i];
      continue;
    }
    try {
      answer = judge(model, row_of(logits, row), row_of(features, row), options);
    } catch (const Error& error) {  // its own: the others' answers stand
      answer.error = error.what();
      answer.code = error.code();
    }
  }
  return answers;
}

}  // namespace vitrail
