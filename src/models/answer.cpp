#include "models/answer.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace vitrail {

std::string described(const ClassAnswer& answer) {
  switch (answer.meaning) {
    case Answer::softmax:
      return "probabilities that sum to 1 (softmax)";
    case Answer::sigmoid:
      if (answer.multi_label)
        return "a probability for each class by itself (sigmoid); a picture may show several";
      return answer.classes == 1 ? "one probability (sigmoid)"
                                 : "a probability for each class by itself (sigmoid); the best "
                                   "one is the answer";
    case Answer::raw:
      return "the values of a regression, as they are (raw)";
  }
  return "?";
}

bool asks_each_class(const ClassAnswer& answer) {
  return answer.multi_label || (answer.meaning == Answer::sigmoid && answer.classes == 1);
}

double sigmoid(double x) {
  if (x >= 0) return 1 / (1 + std::exp(-x));
  const double e = std::exp(x);
  return e / (1 + e);
}

double binary_loss(double x, bool there) {
  const double wrong = there ? -x : x;
  return std::max(wrong, 0.0) + std::log1p(std::exp(-std::abs(wrong)));
}

bool reaches(float logit, double threshold) {
  return sigmoid(logit) >= threshold;
}

std::vector<double> scores_of(Answer answer, std::span<const float> logits) {
  std::vector<double> scores(logits.begin(), logits.end());
  if (answer == Answer::raw || scores.empty()) return scores;
  if (answer == Answer::sigmoid) {
    std::ranges::transform(scores, scores.begin(), sigmoid);
    return scores;
  }
  const double largest = std::ranges::max(scores);
  double sum = 0;
  for (double& score : scores) sum += score = std::exp(score - largest);
  for (double& score : scores) score /= sum;
  return scores;
}

void refuse_regression(const ClassAnswer& answer, const char* place, const std::string& what) {
  check(answer.meaning != Answer::raw, place,
        "the model answers with the values of a regression (answer raw), and {}", what);
}

}  // namespace vitrail
