// What the verbs that answer print of an answer: for people, and as JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>

#include "apps/cli/command_line.h"
#include "infer/model.h"
#include "tasks/classify.h"

namespace vitrail::cli {

struct AnswerArguments {
  std::optional<int64_t> top;
  std::optional<double> threshold;
};
void add_threshold_option(CLI::App& verb, std::optional<double>& threshold);
// Error: a threshold for a model that has none.
AnswerOptions answer_options(const AnswerArguments& arguments, const Model& model);

// Lines of a percentage and a class each, below a picture's name; of a regression the values. Of
// several classes a picture those that reach the threshold, or that none does and the best one.
void print_answer(const Classification& answer, const Model& model, double threshold);

// Adds to a picture's object: "answer" (softmax, sigmoid or raw) and "top", a list of index, label,
// logit and probability, or of a regression value. Of several classes a picture also "multi_label",
// "threshold" and "above", how many reach it, and in each entry whether it does.
void add_answer(const Classification& answer, const Model& model, double threshold,
                nlohmann::ordered_json& json);

}  // namespace vitrail::cli
