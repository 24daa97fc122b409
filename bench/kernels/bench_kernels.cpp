// bench_kernels: what lies between the matrix products, by Google Benchmark. One thread, ViT-B's
// shapes; layer_norm and gelu count the bytes they read and write, attention its operations.
//   bench_kernels --benchmark_filter=attention
#include <benchmark/benchmark.h>

#include "core/rng.h"
#include "core/tensor.h"
#include "kernels/activation.h"
#include "kernels/attention.h"
#include "kernels/layer_norm.h"

namespace vitrail::bench {
namespace {

constexpr int64_t kTokens = 197, kWidth = 768, kHeads = 12, kHeadDim = 64;

Tensor random_tensor(const Shape& shape) {
  Tensor tensor = Tensor::empty(shape);
  Rng rng(1, 0);
  for (float& value : tensor.values()) value = static_cast<float>(rng.uniform(-1, 1));
  return tensor;
}

void count_bytes(benchmark::State& state, int64_t floats) {
  state.SetBytesProcessed(state.iterations() * floats * 4);
}

void layer_norm(benchmark::State& state) {
  Queue queue(1);
  const int64_t rows = kTokens * state.range(0);
  const Tensor x = random_tensor({rows, kWidth}), gamma = random_tensor({kWidth}),
               beta = random_tensor({kWidth});
  Tensor y = Tensor::empty({rows, kWidth});
  const kernels::LayerNormArgs args{.rows = rows,
                                    .dim = kWidth,
                                    .x = x.f32(),
                                    .x_stride = kWidth,
                                    .gamma = gamma.f32(),
                                    .beta = beta.f32(),
                                    .y = y.f32(),
                                    .y_stride = kWidth};
  for (auto _ : state) kernels::layer_norm(queue, args);
  count_bytes(state, 2 * rows * kWidth);
}
BENCHMARK(layer_norm)->Arg(1)->Arg(8);

void gelu(benchmark::State& state) {
  Queue queue(1);
  const int64_t count = kTokens * 4 * kWidth * state.range(0);
  const Tensor x = random_tensor({count});
  Tensor y = Tensor::empty({count});
  for (auto _ : state) kernels::activation(queue, {.count = count, .x = x.f32(), .y = y.f32()});
  count_bytes(state, 2 * count);
}
BENCHMARK(gelu)->Arg(1)->Arg(8);

// q, k and v where the fused projection leaves them, [B, N, 3, H, d].
void attention(benchmark::State& state) {
  Queue queue(1);
  const int64_t tokens = state.range(0), row = 3 * kWidth;
  const Tensor qkv = random_tensor({1, tokens, row});
  Tensor out = Tensor::empty({1, tokens, kWidth});
  const auto view = [&](int64_t part) {
    return kernels::HeadView{qkv.f32() + part * kWidth, {tokens * row, kHeadDim, row}};
  };
  kernels::AttentionArgs args;
  args.shape = {
      .batch = 1, .heads = kHeads, .queries = tokens, .keys = tokens, .head_dim = kHeadDim};
  args.q = view(0);
  args.k = view(1);
  args.v = view(2);
  args.scale = 0.125F;
  kernels::AttentionForward forward;
  forward.o = {out.f32(), {tokens * kWidth, kHeadDim, kWidth}};
  const Tensor workspace = Tensor::empty({kernels::attention_workspace(args.shape) / 4 + 16});
  for (auto _ : state) kernels::attention(queue, args, forward, workspace.f32());
  state.counters["FLOP/s"] =
      benchmark::Counter(static_cast<double>(4 * kHeads * tokens * tokens * kHeadDim),
                         benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(attention)->Arg(197)->Arg(1024)->Arg(4097);

}  // namespace
}  // namespace vitrail::bench
