#include "tasks/calibrate.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/rows.h"
#include "models/answer.h"
#include "models/heads/classifier_head.h"
#include "tasks/classify.h"
#include "tasks/match_classes.h"

namespace vitrail {
namespace {

// What a model makes of one picture of a batch.
struct Seen {
  std::vector<Prediction> top;  // the best class
  std::span<const float> features;
};

// visit(i, seen) for each picture of the batch. Error: one that was not read; name(i) is its name.
template <typename Name, typename Visit>
void look_at(Session& session, const PreparedBatch& batch, Name name, Visit visit) {
  const Model& model = session.model();
  const ClassAnswer answer = model.network->class_answer();
  check(answer.classes > 0, "calibrate", "{} has no head and so no classes", model.name);
  refuse_regression(answer, "calibrate", "a threshold belongs to classes");
  check(!asks_each_class(answer), "calibrate",
        "{} asks about each class by itself, and so says already when it sees none of them "
        "(classify --threshold)",
        model.name);
  for (size_t i = 0; i < batch.errors.size(); ++i)
    check(batch.errors[i].empty(), "calibrate", "{}{}", name(i), batch.errors[i]);
  const NetworkOutput output = session.run(batch.images);
  const Tensor logits = output.logits.value(), features = output.pooled.value();
  for (size_t i = 0; i < batch.errors.size(); ++i) {
    const auto row = static_cast<int64_t>(i);
    visit(i, Seen{top_predictions(row_of(logits, row), model.labels, 1, answer.meaning),
                  row_of(features, row)});
  }
}

// look_at() for pictures of a set, visit(n, seen) with n counting `chosen`.
template <typename Visit>
void look_at_set(Session& session, const Dataset& set, const std::vector<int64_t>& chosen,
                 const CertaintyProgress& progress, Visit visit) {
  session.for_each_batch(
      static_cast<int64_t>(chosen.size()),
      [&](int64_t n) { return set.get(chosen[static_cast<size_t>(n)]).image; },
      [&](size_t first, const PreparedBatch& batch) {
        look_at(
            session, batch, [&](size_t i) { return set.id(chosen[first + i]) + ": "; },
            [&](size_t i, const Seen& seen) { visit(first + i, seen); });
        if (progress) progress(static_cast<int64_t>(first + batch.errors.size()));
      });
}

// Up to `limit` of `count` numbers, evenly taken.
std::vector<int64_t> evenly(int64_t count, int64_t limit) {
  const int64_t taken = std::min(count, limit);
  std::vector<int64_t> chosen;
  for (int64_t i = 0; i < taken; ++i) chosen.push_back(i * count / taken);
  return chosen;
}

}  // namespace

SharedGaussians learn_gaussians(Session& session, const Dataset& training, int64_t limit,
                                const CertaintyProgress& progress) {
  const Network& network = *session.model().network;
  const std::vector<int64_t> classes = match_classes(training.classes(), session.model().labels);
  const std::vector<int64_t> chosen = evenly(training.size(), limit);
  Tensor features =
      Tensor::empty({static_cast<int64_t>(chosen.size()), network.head().pooled_dim()});
  std::vector<int64_t> labels;
  look_at_set(session, training, chosen, progress, [&](size_t n, const Seen& seen) {
    std::ranges::copy(seen.features, features.f32() + n * seen.features.size());
    labels.push_back(classes[static_cast<size_t>(training.label(chosen[n]))]);
  });
  for (int64_t c = 0; c < network.class_answer().classes; ++c)
    check(std::ranges::find(labels, c) != labels.end(), "calibrate",
          "{} shows nothing of class {} ({}), so what is typical of it is unknown: --certainty "
          "probability needs no such pictures",
          training.name(), c, session.model().labels.name(c).value_or("without a name"));
  return std::make_shared<ClassGaussians>(
      ClassGaussians::fit(features, labels, network.class_answer().classes));
}

std::vector<Certainty> certainties(Session& session, const Dataset& set,
                                   const SharedGaussians& gaussians,
                                   const CertaintyProgress& progress) {
  const std::vector<int64_t> classes = match_classes(set.classes(), session.model().labels);
  const Rejection rule{.gaussians = gaussians};
  std::vector<Certainty> all;
  look_at_set(session, set, evenly(set.size(), set.size()), progress,
              [&](size_t n, const Seen& seen) {
                const Prediction& best = seen.top.front();
                const int64_t label = set.label(static_cast<int64_t>(n));
                all.push_back({.value = rule.certainty(best.probability, seen.features),
                               .correct = best.index == classes[static_cast<size_t>(label)]});
              });
  return all;
}

std::vector<Certainty> certainties(Session& session, const std::vector<std::string>& files,
                                   const SharedGaussians& gaussians,
                                   const CertaintyProgress& progress) {
  const Rejection rule{.gaussians = gaussians};
  std::vector<Certainty> all;
  session.for_each_batch(files, [&](size_t first, const PreparedBatch& batch) {
    look_at(
        session, batch, [](size_t) { return ""; },
        [&](size_t, const Seen& seen) {
          all.push_back({.value = rule.certainty(seen.top.front().probability, seen.features)});
        });
    if (progress) progress(static_cast<int64_t>(first + batch.errors.size()));
  });
  return all;
}

Rejection calibrate(std::span<const Certainty> held_out, double accept,
                    const SharedGaussians& gaussians) {
  check(!held_out.empty(), "calibrate", "there are no held-out pictures");
  check(accept > 0 && accept <= 1, "calibrate",
        "the share of accepted pictures is {}, not in (0, 1]", accept);
  std::vector<double> values;
  for (const Certainty& picture : held_out) values.push_back(picture.value);
  std::sort(values.begin(), values.end(), std::greater<>());
  const auto count = static_cast<double>(values.size());
  // The share times the count may exceed a whole number by its rounding alone.
  const auto needed = static_cast<size_t>(std::max(1.0, std::ceil(accept * count - 1e-9)));
  Rejection rejection{.threshold = values[needed - 1], .gaussians = gaussians};
  rejection.accepted = static_cast<double>(acceptance(held_out, rejection).accepted) / count;
  return rejection;
}

Acceptance acceptance(std::span<const Certainty> pictures, const Rejection& rejection) {
  Acceptance result{.pictures = static_cast<int64_t>(pictures.size())};
  for (const Certainty& picture : pictures) {
    if (rejection.rejects(picture.value)) continue;
    ++result.accepted;
    result.correct += picture.correct ? 1 : 0;
  }
  return result;
}

}  // namespace vitrail
