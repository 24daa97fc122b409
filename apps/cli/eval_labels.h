// What vitrail eval prints of a model for several classes a picture.
#pragma once

#include <nlohmann/json.hpp>

#include "tasks/evaluate.h"

namespace vitrail::cli {

// NaN, which JSON has no number for, as null.
nlohmann::ordered_json or_null(double value);

// For people: classes with their average precision, then the whole.
void print_labels(const LabelEvaluation& result, double threshold, const char* split);

// Adds "answer", "multi_label", "threshold", "map", "exact_match", "macro_f1", "micro_f1", "loss",
// "broken" and "classes": name, count, average_precision, precision, recall and f1 of each, null
// where no picture says.
void add_labels(const LabelEvaluation& result, double threshold, nlohmann::ordered_json& json);

}  // namespace vitrail::cli
