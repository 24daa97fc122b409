// A base's weights as an adapter changes them: what of the adapter's file belongs to which
// parameter, and the sum of both.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "formats/tensor_source.h"
#include "models/peft/adapter_config.h"
#include "models/peft/adapter_names.h"

namespace vitrail {

// scale * B A, added to a weight; with magnitudes m [outputs], the sum's rows get these lengths
// (DoRA). Names are those of the adapter's file.
struct LowRankProduct {
  std::string a, b, magnitude;  // magnitude: empty without DoRA
  double scale = 1;
};

// What happens to a piece of a parameter: it is replaced, then a product is added, or, to a bias,
// `bias_scale` times a vector.
struct PieceEdit {
  std::string replacement;  // empty: the base's
  std::optional<LowRankProduct> product;
  std::string bias;  // empty: none
  double bias_scale = 1;
};
// By canonical name; as many as the parameter has pieces.
using ParameterEdits = std::map<std::string, std::vector<PieceEdit>, std::less<>>;

struct AdapterPlan {
  ParameterEdits edits;
  std::vector<std::string> left_out;  // tensors without effect
};

// Assigns every tensor of the adapter. Errors, each naming the tensor or module: one that the model
// or the configuration has no place for, a product without its other half, a module that should
// have one and has none.
AdapterPlan plan_adapter(const TensorSource& adapter, const AdapterConfig& config,
                         const AdapterNames& names);

// Canonical tensors with the edits made, in f32 where something changed. `base` holds each edited
// parameter unless all of it is replaced. Error: shapes that do not fit, values that are not finite
// (when the tensor is asked for).
std::shared_ptr<TensorSource> adapted_tensors(std::shared_ptr<TensorSource> base,
                                              std::shared_ptr<TensorSource> adapter,
                                              ParameterEdits edits);

}  // namespace vitrail
