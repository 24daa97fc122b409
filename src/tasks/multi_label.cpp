#include "tasks/multi_label.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/advice.h"
#include "core/error.h"
#include "models/answer.h"
#include "tasks/confusion.h"

namespace vitrail {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

double f1_of(int64_t correct, int64_t predicted, int64_t count) {
  return predicted + count == 0 ? 0 : ratio(2 * correct, predicted + count);
}

}  // namespace

double average_precision(std::span<const float> scores, std::span<const uint8_t> truth) {
  const int64_t positives = std::ranges::count(truth, uint8_t{1});
  if (positives == 0) return kUnknown;
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::sort(order, [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  double sum = 0;
  int64_t correct = 0, before = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    correct += truth[order[i]];
    const bool last = i + 1 == order.size() || scores[order[i + 1]] != scores[order[i]];
    if (!last) continue;  // pictures of equal scores come together
    sum += ratio(correct - before, positives) * ratio(correct, static_cast<int64_t>(i) + 1);
    before = correct;
  }
  return sum;
}

double LabelScore::precision() const {
  return ratio(correct, predicted);
}
double LabelScore::recall() const {
  return ratio(correct, count);
}
double LabelScore::f1() const {
  return f1_of(correct, predicted, count);
}

MultiLabelJudge::MultiLabelJudge(int64_t classes, double threshold)
    : classes_(static_cast<size_t>(classes)),
      threshold_(threshold),
      logits_(classes_),
      truth_(classes_) {
  check(threshold > 0 && threshold < 1, "eval", "the threshold is {}; it must lie between 0 and 1",
        threshold);
}

void MultiLabelJudge::add(std::span<const float> logits, std::span<const int64_t> labels) {
  std::vector<uint8_t> truth(classes_);
  for (const int64_t label : labels) truth.at(static_cast<size_t>(label)) = 1;
  bool exact = true;
  for (size_t c = 0; c < classes_; ++c) {
    check(std::isfinite(logits[c]), "eval",
          "the model answers with logits that are not finite; see {}", said(Deed::doctor));
    exact = exact && reaches(logits[c], threshold_) == (truth[c] == 1);
    loss_ += binary_loss(logits[c], truth[c] == 1);
    logits_[c].push_back(logits[c]);
    truth_[c].push_back(truth[c]);
  }
  exact_ += exact ? 1 : 0;
}

MultiLabelScores MultiLabelJudge::finish(const std::vector<std::string>& names) const {
  MultiLabelScores scores;
  scores.pictures = classes_ == 0 ? 0 : static_cast<int64_t>(truth_[0].size());
  scores.exact = exact_;
  scores.loss = loss_ / static_cast<double>(std::max<int64_t>(1, scores.pictures)) /
                static_cast<double>(std::max<size_t>(1, classes_));
  LabelScore all;
  for (size_t c = 0; c < classes_; ++c) {
    LabelScore one{.name = c < names.size() ? names[c] : ""};
    for (size_t i = 0; i < truth_[c].size(); ++i) {
      const bool said = reaches(logits_[c][i], threshold_), shown = truth_[c][i] == 1;
      one.count += shown ? 1 : 0;
      one.predicted += said ? 1 : 0;
      one.correct += said && shown ? 1 : 0;
    }
    one.average_precision = average_precision(logits_[c], truth_[c]);
    if (one.count > 0) {
      ++scores.classes_shown;
      scores.mean_average_precision += one.average_precision;
    }
    scores.macro_f1 += one.f1() / static_cast<double>(classes_);
    all.count += one.count;
    all.predicted += one.predicted;
    all.correct += one.correct;
    scores.classes.push_back(std::move(one));
  }
  scores.micro_f1 = all.f1();
  scores.mean_average_precision =
      scores.classes_shown == 0
          ? kUnknown
          : scores.mean_average_precision / static_cast<double>(scores.classes_shown);
  return scores;
}

}  // namespace vitrail
