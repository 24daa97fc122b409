// How good answers are where a picture may show several classes: every class is a question of its
// own, judged by how well it ranks pictures and by what it says at a threshold.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace vitrail {

// Sum over the distinct scores, highest first, of (R_n - R_(n-1)) P_n: precision P and recall R of
// the pictures that score so high or higher (scikit-learn's average_precision_score). truth: 0 or
// 1. NaN where no picture shows the class.
double average_precision(std::span<const float> scores, std::span<const uint8_t> truth);

struct LabelScore {
  std::string name;
  int64_t count = 0;             // pictures that show the class
  int64_t predicted = 0;         // of which it is said
  int64_t correct = 0;           // both
  double average_precision = 0;  // NaN where count is 0

  // NaN without a picture of which the class is said.
  double precision() const;
  double recall() const;  // NaN without a picture that shows it
  // 0 where neither is there, as scikit-learn has it.
  double f1() const;
};

struct MultiLabelScores {
  int64_t pictures = 0;
  // Over the classes that some picture shows; NaN where there are none.
  double mean_average_precision = 0;
  int64_t classes_shown = 0;
  int64_t exact = 0;  // pictures whose classes are all said, and no others
  double macro_f1 = 0, micro_f1 = 0;
  double loss = 0;  // mean binary cross-entropy over pictures and classes
  std::vector<LabelScore> classes;
  double exact_match() const {
    return pictures == 0 ? 0 : static_cast<double>(exact) / static_cast<double>(pictures);
  }
};

// Answers for pictures, row by row.
class MultiLabelJudge {
 public:
  // A class is said from this probability on; in (0, 1).
  MultiLabelJudge(int64_t classes, double threshold);
  // logits [classes]; labels: the classes that the picture shows. Error: a logit that is not
  // finite.
  void add(std::span<const float> logits, std::span<const int64_t> labels);
  MultiLabelScores finish(const std::vector<std::string>& names = {}) const;

 private:
  size_t classes_;
  double threshold_;
  std::vector<std::vector<float>> logits_;  // [classes][pictures]
  std::vector<std::vector<uint8_t>> truth_;
  int64_t exact_ = 0;
  double loss_ = 0;
};

}  // namespace vitrail
