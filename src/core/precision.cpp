#include "core/precision.h"

#include "core/error.h"

namespace vitrail {

const char* name_of(Precision precision) {
  switch (precision) {
    case Precision::f32:
      return "f32";
    case Precision::bf16:
      return "bf16";
    case Precision::int8:
      return "int8";
  }
  return "?";
}

Precision precision_from_name(const std::string& name) {
  for (const Precision precision : {Precision::f32, Precision::bf16, Precision::int8})
    if (name == name_of(precision)) return precision;
  fail("precision", "'{}' is none of f32, bf16 and int8", name);
}

Precision PrecisionPlan::of(std::string_view path) const {
  // Every place that a layer's own path ends, from the whole path backwards.
  for (std::string_view part = path; !layers.empty();) {
    if (const auto found = layers.find(part); found != layers.end()) return found->second;
    const size_t dot = part.rfind('.');
    if (dot == std::string_view::npos) break;
    part = part.substr(0, dot);
  }
  return base;
}

PrecisionPlan default_plan(Precision precision) {
  PrecisionPlan plan{.base = precision};
  if (precision == Precision::int8)
    for (const char* path : {"patch_embed", "tokenizer", "head", "head_dist"})
      plan.layers.emplace(path, Precision::bf16);
  return plan;
}

}  // namespace vitrail
