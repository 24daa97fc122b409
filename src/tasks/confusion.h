// Which class a classifier takes for which, counted, and what follows from the counts.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

namespace vitrail {

// What is undefined (a class that was never answered has no precision) is NaN.
struct ClassMetrics {
  int64_t support = 0;   // pictures of the class
  int64_t answered = 0;  // how often the class was the answer
  int64_t correct = 0;
  double precision = 0;  // correct / answered
  double recall = 0;     // correct / support
  double f1 = 0;         // their harmonic mean
};

// Counts are sparse: a set of 21,841 classes costs what its pictures do.
class Confusion {
 public:
  // The answer of a model that has classes beside the set's, and gave one of those.
  static constexpr int64_t kOther = -1;

  struct Cell {
    int64_t truth = 0, answer = 0, count = 0;
  };

  explicit Confusion(int64_t classes = 0) : classes_(classes) {}

  void add(int64_t truth, int64_t answer) { ++counts_[{truth, answer}]; }
  int64_t classes() const { return classes_; }
  int64_t count(int64_t truth, int64_t answer) const;
  // Every pair that occurred, by truth, then by answer.
  std::vector<Cell> cells() const;
  // Pairs of different classes, the most frequent first.
  std::vector<Cell> mistakes() const;

  std::vector<ClassMetrics> by_class() const;

 private:
  int64_t classes_;
  std::map<std::pair<int64_t, int64_t>, int64_t> counts_;
};

// Means over the classes that have pictures, each class weighing the same; a precision or F1 that
// is undefined counts as 0. NaN when no class has pictures.
struct MacroAverages {
  double precision = 0, recall = 0, f1 = 0;
};
MacroAverages macro_averages(const std::vector<ClassMetrics>& classes);

// NaN of an empty whole.
double ratio(int64_t part, int64_t whole);

}  // namespace vitrail
