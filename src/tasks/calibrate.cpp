#include "tasks/calibrate.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "tasks/classify.h"
#include "tasks/match_classes.h"

namespace vitrail {

std::vector<Certainty> certainties(Session& session, const Dataset& set,
                                   const CertaintyProgress& progress) {
  const std::vector<int64_t> classes = match_classes(set.classes(), session.model().labels);
  std::vector<Certainty> all;
  const auto add = [&](size_t first, const PreparedBatch& batch) {
    for (const Classification& answer : classify(session, batch, 1)) {
      const auto index = static_cast<int64_t>(all.size());
      check(answer.error.empty(), "calibrate", "{}: {}", set.id(index), answer.error);
      const Prediction& best = answer.top.front();
      all.push_back({.probability = best.probability,
                     .correct = best.index == classes[static_cast<size_t>(set.label(index))]});
    }
    if (progress) progress(static_cast<int64_t>(first + batch.errors.size()));
  };
  session.for_each_batch(
      set.size(), [&](int64_t i) { return set.get(i).image; }, add);
  return all;
}

std::vector<Certainty> certainties(Session& session, const std::vector<std::string>& files,
                                   const CertaintyProgress& progress) {
  std::vector<Certainty> all;
  session.for_each_batch(files, [&](size_t first, const PreparedBatch& batch) {
    for (const Classification& answer : classify(session, batch, 1)) {
      check(answer.error.empty(), "calibrate", "{}", answer.error);
      all.push_back({.probability = answer.top.front().probability});
    }
    if (progress) progress(static_cast<int64_t>(first + batch.errors.size()));
  });
  return all;
}

Rejection calibrate(std::span<const Certainty> held_out, double accept) {
  check(!held_out.empty(), "calibrate", "there are no held-out pictures");
  check(accept > 0 && accept <= 1, "calibrate",
        "the share of accepted pictures is {}, not in (0, 1]", accept);
  std::vector<double> probabilities;
  for (const Certainty& picture : held_out) probabilities.push_back(picture.probability);
  std::sort(probabilities.begin(), probabilities.end(), std::greater<>());
  const auto count = static_cast<double>(probabilities.size());
  // The share times the count may exceed a whole number by its rounding alone.
  const auto needed = static_cast<size_t>(std::max(1.0, std::ceil(accept * count - 1e-9)));
  Rejection rejection{.threshold = probabilities[needed - 1]};
  rejection.accepted = static_cast<double>(acceptance(held_out, rejection).accepted) / count;
  return rejection;
}

Acceptance acceptance(std::span<const Certainty> pictures, const Rejection& rejection) {
  Acceptance result{.pictures = static_cast<int64_t>(pictures.size())};
  for (const Certainty& picture : pictures) {
    if (rejection.rejects(picture.probability)) continue;
    ++result.accepted;
    result.correct += picture.correct ? 1 : 0;
  }
  return result;
}

}  // namespace vitrail
