#include "tasks/evaluate.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "tasks/match_classes.h"

namespace vitrail {
namespace {

std::vector<int64_t> model_classes(const Session& session, const Dataset& dataset,
                                   const EvaluateOptions& options) {
  const Model& model = session.model();
  const int64_t classes = model.network->config().num_classes;
  check(classes > 0, "eval", "{} has no head and so no classes", model.name);
  if (!options.classes_by_number) return match_classes(dataset.classes(), model.labels);
  check(classes == dataset.num_classes(), "eval", "the set has {} classes and the model {}",
        dataset.num_classes(), classes);
  std::vector<int64_t> same(static_cast<size_t>(classes));
  std::iota(same.begin(), same.end(), 0);
  return same;
}

// How many classes are at least as good as the true one.
int64_t rank_of(const float* logits, int64_t classes, int64_t truth) {
  int64_t rank = 0;
  for (int64_t i = 0; i < classes; ++i) {
    check(std::isfinite(logits[i]), "eval",
          "the model answers with logits that are not finite; see vitrail doctor");
    if (i != truth && logits[i] >= logits[truth]) ++rank;
  }
  return rank;
}

}  // namespace

EvaluationResult evaluate(Session& session, const Dataset& dataset,
                          const EvaluateOptions& options) {
  const std::vector<int64_t> to_model = model_classes(session, dataset, options);
  const int64_t classes = session.model().network->config().num_classes;
  const int64_t total =
      options.limit > 0 ? std::min(options.limit, dataset.size()) : dataset.size();
  check(total > 0, "eval", "{} has no pictures", dataset.name());
  EvaluationResult result;
  for (const std::string& name : dataset.classes()) result.classes.push_back({.name = name});
  const auto visit = [&](size_t begin, const PreparedBatch& batch) {
    const auto first = static_cast<int64_t>(begin);
    const auto count = static_cast<int64_t>(batch.errors.size());
    for (int64_t i = 0; i < count; ++i)
      check(batch.errors[static_cast<size_t>(i)].empty(), "eval", "{}: {}", dataset.id(first + i),
            batch.errors[static_cast<size_t>(i)]);
    const Tensor logits = session.run(batch.images).logits.value();
    for (int64_t i = 0; i < count; ++i) {
      const int64_t label = dataset.label(first + i);
      const int64_t rank =
          rank_of(logits.f32() + i * classes, classes, to_model[static_cast<size_t>(label)]);
      ClassScore& score = result.classes[static_cast<size_t>(label)];
      ++score.count;
      score.top1 += rank < 1 ? 1 : 0;
      score.top5 += rank < 5 ? 1 : 0;
    }
    if (options.progress) options.progress(first + count, total);
  };
  session.for_each_batch(
      total, [&](int64_t i) { return dataset.get(i).image; }, visit);
  for (const ClassScore& score : result.classes) {
    result.count += score.count;
    result.top1 += score.top1;
    result.top5 += score.top5;
  }
  return result;
}

}  // namespace vitrail
