// The page that explains one picture: self-contained HTML, without network, at most 10 MB.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "explain/explanation.h"
#include "tasks/classify.h"

namespace vitrail {

inline constexpr size_t kMaxPageBytes = 10'000'000;

struct PagePrediction {
  int64_t index = 0;
  std::optional<std::string> label;
  double probability = 0;                      // NaN where it has a value instead
  std::optional<double> value = std::nullopt;  // of a regression
  bool below = false;  // the threshold, where a picture may show several classes
};

struct ExplainPage {
  std::string picture_name, model_name;
  std::string verdict;  // stands above the predictions: "none of my ten classes"; empty: nothing
  std::string meaning;  // of the predictions' numbers, below them; empty: they sum to 1
  std::vector<PagePrediction> predictions;  // best first; empty: a model without a head
  Image mask;  // where the object is, in the photo's size; no pixels: unknown
};

// Gives a page its verdict, predictions and what these mean. threshold: that of the answer.
void add_answer(ExplainPage& page, const Classification& answer, const Model& model,
                double threshold);

// The HTML. Names and labels may hold anything, bytes that are not UTF-8 included.
// Error: a mask of another size than the photo.
std::string explain_page(Queue& queue, const Explanation& explanation, const ExplainPage& page);

}  // namespace vitrail
