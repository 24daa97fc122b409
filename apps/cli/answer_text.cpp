#include "apps/cli/answer_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "apps/cli/standard_streams.h"
#include "core/error.h"
#include "core/printable.h"
#include "models/answer.h"
#include "models/rejection.h"

namespace vitrail::cli {
namespace {

std::string name_of(const Prediction& prediction) {
  return prediction.label ? printable(*prediction.label)
                          : fmt::format("class {}", prediction.index);
}

void print_lines(std::span<const Prediction> predictions) {
  for (const Prediction& prediction : predictions)
    print_stdout("  {:6.2f}%  {}\n", 100 * prediction.probability, name_of(prediction));
}

void print_several(const Classification& answer, const Model& model, double threshold) {
  const double percent = 100 * threshold;
  const auto named = static_cast<int64_t>(answer.top.size());
  if (answer.above == 0 && named > 0) {
    print_stdout("  {}: none reaches {:g}%; the nearest, below it:\n", none_of(model.labels.size()),
                 percent);
    return print_lines(std::span(answer.top).first(1));
  }
  print_lines(std::span(answer.top).first(static_cast<size_t>(std::min(answer.above, named))));
  if (answer.above > named)
    print_stdout("  and {} more that reach {:g}%\n", answer.above - named, percent);
}

}  // namespace

void add_threshold_option(CLI::App& verb, std::optional<double>& threshold) {
  verb.add_option("--threshold", threshold,
                  "the probability from which on a class counts, of models for several classes a "
                  "picture (default: 0.5)")
      ->check(CLI::Range(1e-9, 1 - 1e-9));
}

AnswerOptions answer_options(const AnswerArguments& arguments, const Model& model) {
  const ClassAnswer answers = model.network->class_answer();
  check(!arguments.threshold || answers.multi_label, "--threshold",
        "{} is not a model for several classes a picture: its answer is {} (--set "
        "multi_label=true says that it is)",
        model.name, described(answers));
  return {.top = arguments.top, .threshold = arguments.threshold.value_or(kThreshold)};
}

void print_answer(const Classification& answer, const Model& model, double threshold) {
  const ClassAnswer answers = model.network->class_answer();
  if (answers.multi_label) return print_several(answer, model, threshold);
  if (answers.meaning != Answer::raw) return print_lines(answer.top);
  for (const Prediction& prediction : answer.top)
    print_stdout("  {:12.6g}  {}\n", prediction.logit, name_of(prediction));
}

void add_answer(const Classification& answer, const Model& model, double threshold,
                nlohmann::ordered_json& json) {
  const ClassAnswer answers = model.network->class_answer();
  json["answer"] = vitrail::name_of(answers.meaning);
  if (answers.multi_label) {
    json["multi_label"] = true;
    json["threshold"] = threshold;
    json["above"] = answer.above;
  }
  json["top"] = nlohmann::ordered_json::array();
  for (const Prediction& prediction : answer.top) {
    nlohmann::ordered_json entry;
    entry["index"] = prediction.index;
    if (prediction.label)
      entry["label"] = *prediction.label;
    else
      entry["label"] = nullptr;
    if (answers.meaning == Answer::raw)
      entry["value"] = prediction.logit;
    else
      entry["probability"] = prediction.probability;
    entry["logit"] = prediction.logit;
    if (answers.multi_label)
      entry["above"] = static_cast<int64_t>(json["top"].size()) < answer.above;
    json["top"].push_back(std::move(entry));
  }
}

}  // namespace vitrail::cli
