#include "kernels/weight_gradient.h"

#include <gtest/gtest.h>

#include "kernels/gemm_bf16.h"
#include "kernels/reference/gemm.h"
#include "support/compare.h"
#include "support/isa.h"
#include "support/random.h"

namespace vitrail::kernels {
namespace {

using testing::expect_same_on_any_threads;
using testing::for_each_isa;
using testing::max_relative_error;
using testing::random_floats;
using testing::sum_tolerance;

struct GradientSize {
  int64_t rows, outputs, inputs;
};
// Odd ones, tails of every tile, one block and several, one split and several.
const GradientSize kGradientSizes[] = {{1, 1, 1},      {3, 7, 5},     {130, 17, 49},  {64, 10, 192},
                                       {257, 48, 193}, {513, 8, 400}, {1031, 401, 97}};

enum class GradientOperands { f32, bf16, rounded_before };

struct GradientResult {
  std::vector<float> dw, db;
  bool operator==(const GradientResult&) const = default;
};

std::vector<float> inputs_of(const GradientSize& s) {
  return random_floats(s.rows * s.inputs, 1);
}
std::vector<float> gradients_of(const GradientSize& s) {
  return random_floats(s.rows * s.outputs, 2);
}

GradientResult run(Queue& queue, const GradientSize& s, GradientOperands operands,
                   bool accumulate) {
  const std::vector<float> x = inputs_of(s), dy = gradients_of(s);
  GradientResult r{.dw = std::vector<float>(s.outputs * s.inputs, 2.0f),
                   .db = std::vector<float>(s.outputs, 3.0f)};
  WeightGradientArgs args{.rows = s.rows,
                          .outputs = s.outputs,
                          .inputs = s.inputs,
                          .dy = dy.data(),
                          .x = x.data(),
                          .x_stride = s.inputs,
                          .bf16 = operands != GradientOperands::f32,
                          .dw = {r.dw.data(), accumulate},
                          .db = {r.db.data(), accumulate}};
  RoundedRows rounded;
  if (operands == GradientOperands::rounded_before) {
    rounded = round_rows(queue, Matrix::row_major(x.data(), s.rows, s.inputs));
    args.x = nullptr;
    args.x_bf16 = static_cast<const uint16_t*>(rounded.values.raw());
    args.x_stride = rounded.stride;
  }
  const Tensor workspace = Tensor::empty({weight_gradient_workspace(queue, args)}, DType::u8);
  weight_gradient(queue, args, workspace.raw());
  return r;
}

struct Expected {
  std::vector<double> dw, db;
};

Expected expected(const GradientSize& s, bool bf16, bool accumulate) {
  const std::vector<float> x = inputs_of(s), dy = gradients_of(s);
  const auto operand = [&](float value) {
    return static_cast<double>(bf16 ? bf16_to_f32(f32_to_bf16(value)) : value);
  };
  reference::GemmInput product{.m = s.outputs, .n = s.inputs, .k = s.rows};
  product.a.resize(dy.size());
  Expected e{.dw = {}, .db = std::vector<double>(s.outputs, accumulate ? 3.0 : 0.0)};
  for (int64_t r = 0; r < s.rows; ++r)
    for (int64_t o = 0; o < s.outputs; ++o) {
      product.a[o * s.rows + r] = operand(dy[r * s.outputs + o]);
      e.db[o] += dy[r * s.outputs + o];  // never rounded
    }
  for (const float value : x) product.b.push_back(operand(value));
  e.dw = reference::gemm(product);
  if (accumulate)
    for (double& value : e.dw) value += 2.0;
  return e;
}

TEST(WeightGradient, MatchesDoubleOnEveryIsa) {
  for_each_isa([](Queue& queue) {
    for (const GradientSize& size : kGradientSizes)
      for (const GradientOperands operands :
           {GradientOperands::f32, GradientOperands::bf16, GradientOperands::rounded_before})
        for (const bool accumulate : {false, true}) {
          SCOPED_TRACE(::testing::Message() << size.rows << " x " << size.outputs << " x "
                                            << size.inputs << ", operands " << int(operands));
          const GradientResult got = run(queue, size, operands, accumulate);
          const Expected want = expected(size, operands != GradientOperands::f32, accumulate);
          EXPECT_LT(max_relative_error(got.dw, want.dw), sum_tolerance(size.rows));
          EXPECT_LT(max_relative_error(got.db, want.db), sum_tolerance(size.rows));
        }
  });
}

TEST(WeightGradient, TheSameOnAnyNumberOfThreads) {
  for (const GradientOperands operands : {GradientOperands::f32, GradientOperands::bf16})
    expect_same_on_any_threads([&](Queue& queue) {
      std::vector<GradientResult> results;
      for (const GradientSize& size : kGradientSizes)
        results.push_back(run(queue, size, operands, false));
      return results;
    });
}

TEST(WeightGradient, RoundedBeforeOrNowIsTheSame) {
  for_each_isa([](Queue& queue) {
    for (const GradientSize& size : kGradientSizes)
      EXPECT_TRUE(run(queue, size, GradientOperands::bf16, false) ==
                  run(queue, size, GradientOperands::rounded_before, false));
  });
}

TEST(WeightGradient, NoRowsGiveZeros) {
  Queue queue(1);
  const GradientResult zeros = run(queue, {0, 2, 3}, GradientOperands::f32, false);
  EXPECT_EQ(zeros.dw, std::vector<float>(6, 0.0f));
  EXPECT_EQ(zeros.db, std::vector<float>(2, 0.0f));
  const GradientResult kept = run(queue, {0, 2, 3}, GradientOperands::f32, true);
  EXPECT_EQ(kept.dw, std::vector<float>(6, 2.0f));
}

}  // namespace
}  // namespace vitrail::kernels
