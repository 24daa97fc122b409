// Quantization: which layers of a model run in 8 bits, and what that costs on real pictures.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/precision.h"
#include "data/dataset.h"
#include "infer/model.h"

namespace vitrail {

struct QuantizeOptions {
  PrecisionPlan plan = default_plan(Precision::int8);
  // The loss that is accepted, in points of a hundred.
  double max_drop = 0.5;
  // While the loss exceeds it, layers are raised to bf16, those of the largest error first.
  bool raise_layers = false;
  int64_t limit = 0;           // the first so many pictures; 0: all
  int64_t layer_pictures = 8;  // of them, those that the error of each layer is measured on
  // The set's own numbers are the model's classes, as in EvaluateOptions.
  bool classes_by_number = false;
  int threads = 0;
  int batch = 8;
  std::function<void(const std::string& what, int64_t done, int64_t total)> progress;
};

// What one layer alone in 8 bits does to the answer.
struct LayerError {
  std::string path;
  double weight_error = 0;  // |W - W'| / |W|, Euclidean norms
  double answer_error = 0;  // |y - y'| / |y - mean(y)| of the logits (or of the pooled features)
  Precision precision = Precision::int8;  // in which it runs in the end
};

struct QuantizeReport {
  PrecisionPlan plan;
  std::vector<LayerError> layers;  // in the model's order
  int64_t pictures = 0;
  // "top1" where the set's classes match the model's labels: the loss is the fall of the top-1.
  // Else "cosine": 100 (1 - mean cosine) between the answers before and after, mean removed.
  // Of a model that asks about each class "decisions": the share of questions, at probability 1/2,
  // that are answered otherwise. Of a regression "values": 100 |y - y'| / |y|.
  std::string measure;
  double before = 0, after = 0;  // top-1 as fractions; else 1 and 1 less the mean loss
  // Share of pictures whose best class did not change; or none of whose decisions did; or whose
  // values did by 1% at most.
  double agreement = 0;
  double answer_error = 0;             // as in LayerError, of the whole plan
  double drop = 0;                     // points of a hundred
  double drop_low = 0, drop_high = 0;  // its paired 95% interval
  std::vector<std::string> raised;     // layers that raise_layers moved to bf16
  bool within(double max_drop) const { return drop <= max_drop; }
  // The layer in 8 bits that the answer suffers from most; "" when none is.
  std::string worst_layer() const;
};

// The model's weights must still have their source: no packed session may have been made of it.
// Error: a plan that names no layer of the model, no pictures, one that cannot be read.
QuantizeReport quantize(const std::shared_ptr<Model>& model, const Dataset& pictures,
                        const QuantizeOptions& options = {});

}  // namespace vitrail
