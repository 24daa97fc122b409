#include "tasks/confusion.h"

#include <algorithm>
#include <cmath>

namespace vitrail {

double ratio(int64_t part, int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : NAN;
}

namespace {

double or_zero(double value) {
  return std::isnan(value) ? 0 : value;
}

}  // namespace

int64_t Confusion::count(int64_t truth, int64_t answer) const {
  const auto found = counts_.find({truth, answer});
  return found == counts_.end() ? 0 : found->second;
}

std::vector<Confusion::Cell> Confusion::cells() const {
  std::vector<Cell> cells;
  for (const auto& [pair, count] : counts_) cells.push_back({pair.first, pair.second, count});
  return cells;
}

std::vector<Confusion::Cell> Confusion::mistakes() const {
  std::vector<Cell> wrong = cells();
  std::erase_if(wrong, [](const Cell& cell) { return cell.truth == cell.answer; });
  std::stable_sort(wrong.begin(), wrong.end(),
                   [](const Cell& a, const Cell& b) { return a.count > b.count; });
  return wrong;
}

std::vector<ClassMetrics> Confusion::by_class() const {
  std::vector<ClassMetrics> classes(static_cast<size_t>(classes_));
  for (const auto& [pair, count] : counts_) {
    const auto [truth, answer] = pair;
    classes[static_cast<size_t>(truth)].support += count;
    if (answer != kOther) classes[static_cast<size_t>(answer)].answered += count;
    if (answer == truth) classes[static_cast<size_t>(truth)].correct += count;
  }
  for (ClassMetrics& metrics : classes) {
    metrics.precision = ratio(metrics.correct, metrics.answered);
    metrics.recall = ratio(metrics.correct, metrics.support);
    metrics.f1 = ratio(2 * metrics.correct, metrics.answered + metrics.support);
  }
  return classes;
}

MacroAverages macro_averages(const std::vector<ClassMetrics>& classes) {
  MacroAverages sum;
  double seen = 0;
  for (const ClassMetrics& metrics : classes) {
    if (metrics.support == 0) continue;
    ++seen;
    sum.precision += or_zero(metrics.precision);
    sum.recall += metrics.recall;
    sum.f1 += or_zero(metrics.f1);
  }
  return {sum.precision / seen, sum.recall / seen, sum.f1 / seen};
}

}  // namespace vitrail
