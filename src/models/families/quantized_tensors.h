// Checkpoints whose projections are stored in 8 bits.
//
// A weight W [N, K] is stored as "W" (i8, symmetric) with "W_scale" (f32 [N]) beside it, and
// W ~ scale[n] * q[n, k]. config.json says in its "precision" block which layers run in which
// precision, since a layer may be kept above 8 bits.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "core/precision.h"
#include "formats/tensor_source.h"

namespace vitrail {

// Presents i8 weights as the floats that they stand for (and to quantized() as they are) and hides
// their scales; everything else as it is. Returns `tensors` itself when none is quantized. Error:
// scales that do not fit.
std::shared_ptr<TensorSource> dequantized(std::shared_ptr<TensorSource> tensors);

// Under which name the scales of a quantized weight are stored.
std::string scale_name(const std::string& weight);

// {"base": "int8", "layers": {"head": "bf16"}}. Error: another form.
nlohmann::json to_json(const PrecisionPlan& plan);
PrecisionPlan precision_plan_from_json(const nlohmann::json& json, const std::string& place);

}  // namespace vitrail
