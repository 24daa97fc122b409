// Evaluation: how often a model's best answers are a data set's.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "data/loader.h"
#include "infer/session.h"
#include "tasks/confusion.h"
#include "tasks/multi_label.h"

namespace vitrail {

struct ClassScore {
  std::string name;  // the set's
  int64_t count = 0, top1 = 0, top5 = 0;
};

// A picture that was answered wrongly.
struct Mistake {
  int64_t index = 0;              // of the picture in the set
  int64_t label = 0;              // the set's class
  int64_t answer = 0;             // the model's class
  double answer_probability = 0;  // as the model's answer has them (models/answer.h)
  double label_probability = 0;
};

struct EvaluationResult {
  int64_t count = 0, top1 = 0, top5 = 0;
  // Of a calibrated model (models/rejection.h): pictures whose best class did not count, which the
  // other numbers take no notice of, and those among them for which it was right.
  int64_t none = 0, none_top1 = 0;
  double loss = 0;      // mean cross-entropy over the model's classes; of sigmoids the binary one
  Confusion confusion;  // over the set's classes
  std::vector<Mistake> mistakes;      // the worst first: where the true class was least expected
  std::vector<ClassScore> classes;    // in the set's order; those that were seen have a count
  std::vector<BrokenPicture> broken;  // that were left out
  double top1_fraction() const { return fraction(top1); }
  double top5_fraction() const { return fraction(top5); }

 private:
  double fraction(int64_t hits) const {
    return count == 0 ? 0.0 : static_cast<double>(hits) / static_cast<double>(count);
  }
};

struct EvaluateOptions {
  int64_t limit = 0;     // the first so many pictures; 0: all
  int64_t mistakes = 0;  // how many of the worst mistakes are kept
  // The set's own numbers are the model's classes: for sets whose files hold numbers, with models
  // that know no names. Otherwise classes are matched by name.
  bool classes_by_number = false;
  double max_broken = kMaxBroken;  // this share of the pictures may be unreadable
  std::function<void(const BrokenPicture&)> on_broken;
  std::function<void(int64_t done, int64_t total)> progress;
};

// Equal logits count against the model: the true class must be strictly among the best.
// Error: classes that match no label, more broken pictures than may be, a model without a head, one
// or a set of several classes a picture, values of a regression.
EvaluationResult evaluate(Session& session, const Dataset& dataset,
                          const EvaluateOptions& options = {});

struct LabelEvaluation {
  MultiLabelScores scores;            // over the set's classes, in its order
  std::vector<BrokenPicture> broken;  // that were left out
};

// Where a picture may show several classes, or none: for a model that asks about each
// (asks_each_class) on a set that says all (Dataset::multi_label). Classes of the model that the
// set does not have are not judged. Error: another model or set, and as evaluate(), a threshold
// outside (0, 1).
LabelEvaluation evaluate_labels(Session& session, const Dataset& dataset, double threshold,
                                const EvaluateOptions& options = {});

}  // namespace vitrail
