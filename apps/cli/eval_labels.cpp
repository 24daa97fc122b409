#include "apps/cli/eval_labels.h"

#include <fmt/format.h>

#include <cmath>

#include "apps/cli/standard_streams.h"
#include "core/printable.h"

namespace vitrail::cli {

nlohmann::ordered_json or_null(double value) {
  return std::isnan(value) ? nlohmann::ordered_json() : nlohmann::ordered_json(value);
}

void print_labels(const LabelEvaluation& result, double threshold, const char* split) {
  const MultiLabelScores& scores = result.scores;
  for (const LabelScore& one : scores.classes)
    if (one.count > 0)
      print_stdout("{:6.2f}%  of {:>5}  {}\n", 100 * one.average_precision, one.count,
                   printable(one.name));
  const auto classes = static_cast<int64_t>(scores.classes.size());
  if (scores.classes_shown < classes)
    print_stdout("{} of {} classes are in no picture, and no part of the mean\n",
                 classes - scores.classes_shown, classes);
  print_stdout(
      "mAP {:.2f}%; at {:g}%: exact match {:.2f}%, F1 {:.2f}% (macro) and {:.2f}% (micro) of "
      "{} pictures ({})\n",
      100 * scores.mean_average_precision, 100 * threshold, 100 * scores.exact_match(),
      100 * scores.macro_f1, 100 * scores.micro_f1, scores.pictures, split);
}

void add_labels(const LabelEvaluation& result, double threshold, nlohmann::ordered_json& json) {
  const MultiLabelScores& scores = result.scores;
  json["count"] = scores.pictures;
  json["answer"] = name_of(Answer::sigmoid);
  json["multi_label"] = true;
  json["threshold"] = threshold;
  json["map"] = or_null(scores.mean_average_precision);
  json["exact_match"] = scores.exact_match();
  json["macro_f1"] = scores.macro_f1;
  json["micro_f1"] = scores.micro_f1;
  json["loss"] = scores.loss;
  json["broken"] = nlohmann::ordered_json::array();
  for (const BrokenPicture& broken : result.broken) json["broken"].push_back(broken.id);
  json["classes"] = nlohmann::ordered_json::array();
  for (const LabelScore& one : scores.classes)
    json["classes"].push_back({{"name", one.name},
                               {"count", one.count},
                               {"average_precision", or_null(one.average_precision)},
                               {"precision", or_null(one.precision())},
                               {"recall", or_null(one.recall())},
                               {"f1", one.f1()}});
}

}  // namespace vitrail::cli
