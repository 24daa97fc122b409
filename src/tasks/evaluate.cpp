#include "tasks/evaluate.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <utility>

#include "core/advice.h"
#include "core/error.h"
#include "core/rows.h"
#include "models/answer.h"
#include "tasks/classify.h"
#include "tasks/match_classes.h"

namespace vitrail {
namespace {

std::vector<int64_t> model_classes(const Session& session, const Dataset& dataset,
                                   const EvaluateOptions& options) {
  const Model& model = session.model();
  const int64_t classes = model.network->class_answer().classes;
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
          "the model answers with logits that are not finite; see {}", said(Deed::doctor));
    if (i != truth && logits[i] >= logits[truth]) ++rank;
  }
  return rank;
}

// The best class but the true one; of equal logits the lower index.
int64_t best_other(const float* logits, int64_t classes, int64_t truth) {
  int64_t best = truth == 0 ? 1 : 0;
  for (int64_t i = best + 1; i < classes; ++i)
    if (i != truth && logits[i] > logits[best]) best = i;
  return best;
}

// Cross-entropy of the true class; of sigmoids the mean of the binary ones of every class.
double loss_of(Answer answer, std::span<const float> logits, const std::vector<double>& scores,
               int64_t truth) {
  const auto at = static_cast<size_t>(truth);
  if (answer == Answer::sigmoid) {
    double sum = 0;
    for (size_t i = 0; i < logits.size(); ++i) sum += binary_loss(logits[i], i == at);
    return sum / static_cast<double>(logits.size());
  }
  // Of the logits, for a probability may have come to 0.
  const size_t best = static_cast<size_t>(std::ranges::max_element(scores) - scores.begin());
  return double{logits[best]} - logits[at] - std::log(scores[best]);
}

// The true class was less expected; of equal ones the earlier picture comes first.
bool is_worse(const Mistake& a, const Mistake& b) {
  return a.label_probability != b.label_probability ? a.label_probability < b.label_probability
                                                    : a.index < b.index;
}

// Evaluation of one set, a batch of logits at a time.
class Judge {
 public:
  Judge(std::vector<int64_t> to_model, const Model& model, const EvaluateOptions& options)
      : to_model_(std::move(to_model)),
        model_classes_(model.network->class_answer().classes),
        model_(model),
        options_(options) {
    for (size_t i = 0; i < to_model_.size(); ++i) to_set_[to_model_[i]] = static_cast<int64_t>(i);
    result_.confusion = Confusion(static_cast<int64_t>(to_model_.size()));
  }

  void add(int64_t index, int64_t label, const float* logits, std::span<const float> features);
  EvaluationResult finish(const std::vector<std::string>& names);

 private:
  void keep(const Mistake& mistake);

  std::vector<int64_t> to_model_;
  std::map<int64_t, int64_t> to_set_;
  int64_t model_classes_;
  const Model& model_;
  const EvaluateOptions& options_;
  EvaluationResult result_;
  std::vector<ClassScore> scores_ = std::vector<ClassScore>(to_model_.size());
  double loss_ = 0;
};

void Judge::add(int64_t index, int64_t label, const float* logits,
                std::span<const float> features) {
  const int64_t truth = to_model_[static_cast<size_t>(label)];
  const int64_t rank = rank_of(logits, model_classes_, truth);
  ClassScore& score = scores_[static_cast<size_t>(label)];
  ++score.count;
  score.top1 += rank < 1 ? 1 : 0;
  score.top5 += rank < 5 ? 1 : 0;
  const std::span row(logits, static_cast<size_t>(model_classes_));
  const Answer meaning = model_.network->class_answer().meaning;
  const std::vector<double> probabilities = scores_of(meaning, row);
  loss_ += loss_of(meaning, row, probabilities, truth);
  if (judge(model_, row, features, {.top = 1}).none) {
    ++result_.none;
    result_.none_top1 += rank < 1 ? 1 : 0;
  }
  if (rank == 0) return result_.confusion.add(label, label);
  const int64_t answer = best_other(logits, model_classes_, truth);
  const auto in_set = to_set_.find(answer);
  result_.confusion.add(label, in_set == to_set_.end() ? Confusion::kOther : in_set->second);
  keep({.index = index,
        .label = label,
        .answer = answer,
        .answer_probability = probabilities[static_cast<size_t>(answer)],
        .label_probability = probabilities[static_cast<size_t>(truth)]});
}

void Judge::keep(const Mistake& mistake) {
  std::vector<Mistake>& kept = result_.mistakes;
  const auto place = std::upper_bound(kept.begin(), kept.end(), mistake, is_worse);
  if (place - kept.begin() >= options_.mistakes) return;
  kept.insert(place, mistake);
  if (static_cast<int64_t>(kept.size()) > options_.mistakes) kept.pop_back();
}

EvaluationResult Judge::finish(const std::vector<std::string>& names) {
  for (size_t i = 0; i < names.size(); ++i) scores_[i].name = names[i];
  for (const ClassScore& score : scores_) {
    result_.count += score.count;
    result_.top1 += score.top1;
    result_.top5 += score.top5;
  }
  result_.classes = std::move(scores_);
  result_.loss = loss_ / static_cast<double>(result_.count);
  return std::move(result_);
}

// Runs the set's pictures. add(index, logits, features) for each that could be read; the others.
template <typename Add>
std::vector<BrokenPicture> visit_pictures(Session& session, const Dataset& dataset,
                                          const EvaluateOptions& options, Add add) {
  check(options.max_broken >= 0 && options.max_broken <= 1, "eval",
        "max_broken {} is outside 0 to 1", options.max_broken);
  const int64_t total =
      options.limit > 0 ? std::min(options.limit, dataset.size()) : dataset.size();
  check(total > 0, "eval", "{} has no pictures", dataset.name());
  std::vector<BrokenPicture> broken;
  const auto limit = static_cast<int64_t>(options.max_broken * static_cast<double>(total));
  const auto leave_out = [&](int64_t index, const std::string& why) {
    broken.push_back({index, dataset.id(index), why});
    const auto count = static_cast<int64_t>(broken.size());
    check(count <= limit, "eval",
          "{}: {}; {} broken of {} pictures, and the limit is {} ({:g}%): {}", broken.back().id,
          why, count, total, limit, 100 * options.max_broken, said(Option::max_broken));
    if (options.on_broken) options.on_broken(broken.back());
  };
  const auto visit = [&](size_t begin, const PreparedBatch& batch) {
    const auto first = static_cast<int64_t>(begin);
    const auto count = static_cast<int64_t>(batch.errors.size());
    const auto error = [&](int64_t i) -> const std::string& {
      return batch.errors[static_cast<size_t>(i)];
    };
    for (int64_t i = 0; i < count; ++i)
      if (!error(i).empty()) leave_out(first + i, error(i));
    // A single picture of a size of its own has no memory when it was not read.
    if (batch.images.defined()) {
      const NetworkOutput output = session.run(batch.images);
      const Tensor logits = output.logits.value(), features = output.pooled.value();
      for (int64_t i = 0; i < count; ++i)
        if (error(i).empty()) add(first + i, row_of(logits, i), row_of(features, i));
    }
    if (options.progress) options.progress(first + count, total);
  };
  session.for_each_batch(
      total, [&](int64_t i) { return dataset.get(i).image; }, visit);
  check(static_cast<int64_t>(broken.size()) < total, "eval", "{}: no picture could be read",
        dataset.name());
  return broken;
}

// Error: the set asks another question than the model answers.
void check_question(const Model& model, const Dataset& dataset, bool several) {
  const ClassAnswer answer = model.network->class_answer();
  refuse_regression(answer, "eval", "eval counts right classes");
  if (asks_each_class(answer) == several && dataset.multi_label() == several) return;
  fail("eval", "{} has {} a picture, and {} answers with {}", dataset.name(),
       dataset.multi_label() ? "several classes" : "one class", model.name, described(answer));
}

}  // namespace

EvaluationResult evaluate(Session& session, const Dataset& dataset,
                          const EvaluateOptions& options) {
  const Model& model = session.model();
  check_question(model, dataset, false);
  const std::vector<int64_t> classes = model_classes(session, dataset, options);
  Judge judge(classes, model, options);
  std::vector<BrokenPicture> broken = visit_pictures(
      session, dataset, options,
      [&](int64_t index, std::span<const float> logits, std::span<const float> features) {
        judge.add(index, dataset.label(index), logits.data(), features);
      });
  EvaluationResult result = judge.finish(dataset.classes());
  result.broken = std::move(broken);
  return result;
}

LabelEvaluation evaluate_labels(Session& session, const Dataset& dataset, double threshold,
                                const EvaluateOptions& options) {
  check_question(session.model(), dataset, true);
  const std::vector<int64_t> classes = model_classes(session, dataset, options);
  MultiLabelJudge judge(dataset.num_classes(), threshold);
  std::vector<float> asked(classes.size());  // the logits of the set's classes
  std::vector<BrokenPicture> broken =
      visit_pictures(session, dataset, options,
                     [&](int64_t index, std::span<const float> logits, std::span<const float>) {
                       for (size_t c = 0; c < classes.size(); ++c)
                         asked[c] = logits[static_cast<size_t>(classes[c])];
                       judge.add(asked, dataset.labels(index));
                     });
  return {judge.finish(dataset.classes()), std::move(broken)};
}

}  // namespace vitrail
