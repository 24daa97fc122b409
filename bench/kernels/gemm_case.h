// One matrix product that both libraries compute: C [M, N] = A [M, K] * W^T + bias, A and C in f32,
// W [N, K] packed beforehand in the precision of the product.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/precision.h"
#include "core/queue.h"

namespace vitrail::bench {

struct GemmShape {
  std::string name;  // "ViT-B fc1 x8"
  int64_t m = 0, k = 0, n = 0;
};

struct GemmData {
  GemmShape shape;
  std::vector<float> a, w, bias;
};

// What a library offers: the call to time, and where it leaves C.
struct Product {
  std::function<void()> run;
  const float* c = nullptr;
};

// Converts A from f32 on the way in, always: it has no other entrance.
Product our_product(Queue& queue, Precision precision, const GemmData& data);

// oneDNN's matmul. `from_f32` includes the conversion of A that ours includes (bf16: rounding;
// int8: quantization with one scale known beforehand, where ours finds a scale for each row);
// without it A was converted before the clock started. In f32 the two are the same.
Product onednn_product(Precision precision, const GemmData& data, bool from_f32);
void onednn_use_threads(int threads);
std::string onednn_version();

}  // namespace vitrail::bench
