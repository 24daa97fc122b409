// In which arithmetic the projections of a model run, layer by layer.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace vitrail {

// bf16: both operands rounded, sums in f32. int8: weights quantized by output, activations by
// token, sums in 32-bit integers. LayerNorm, softmax and everything between the products stay f32.
enum class Precision : uint8_t { f32, bf16, int8 };
const char* name_of(Precision precision);
// Error listing the names.
Precision precision_from_name(const std::string& name);

struct PrecisionPlan {
  Precision base = Precision::f32;
  // By path, a layer ("blocks.3.mlp.fc1") or everything below it ("blocks.3"); the longest wins.
  std::map<std::string, Precision, std::less<>> layers;

  // Of a layer or of a parameter of it ("blocks.3.mlp.fc1.weight").
  Precision of(std::string_view path) const;
  bool operator==(const PrecisionPlan&) const = default;
};

// What --precision stands for: int8 keeps the patch embedding, which reads pixels, and the heads,
// whose outputs are the answer, in bf16. They are a hundredth of the work.
PrecisionPlan default_plan(Precision precision);

}  // namespace vitrail
