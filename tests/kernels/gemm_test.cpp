#include "kernels/gemm.h"

#include <gtest/gtest.h>

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
using testing::to_double;

struct GemmSize {
  int64_t m, n, k;
};
// Tiles, panels and blocks of k, each with every kind of remainder.
const GemmSize kGemmSizes[] = {{1, 1, 1},     {2, 7, 3},      {6, 16, 8},    {7, 17, 257},
                               {5, 15, 256},  {13, 33, 64},   {8, 48, 255},  {197, 65, 31},
                               {200, 23, 19}, {65, 100, 513}, {1, 1000, 192}};

struct GemmOperands {
  explicit GemmOperands(const GemmSize& s)
      : size(s),
        a(random_floats(s.m * s.k, 1)),
        b(random_floats(s.k * s.n, 2)),
        bias(random_floats(s.n, 3)),
        scale(random_floats(s.n, 4)),
        residual(random_floats(s.m * s.n, 5)) {}
  Matrix a_matrix() const { return Matrix::row_major(a.data(), size.m, size.k); }
  Matrix b_matrix() const { return Matrix::row_major(b.data(), size.k, size.n); }
  reference::GemmInput input() const {
    return {.m = size.m, .n = size.n, .k = size.k, .a = to_double(a), .b = to_double(b)};
  }
  GemmSize size;
  std::vector<float> a, b, bias, scale, residual;
};

std::vector<float> transpose(const std::vector<float>& x, int64_t rows, int64_t columns) {
  std::vector<float> out(x.size());
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) out[c * rows + r] = x[r * columns + c];
  return out;
}

Tensor workspace(const Matrix& a, const Matrix& b) {
  return Tensor::empty({gemm_workspace(a, b)}, DType::u8);
}

TEST(Gemm, EveryEpilogueAgreesWithTheReference) {
  for_each_isa([](Queue& queue) {
    for (const GemmSize& size : kGemmSizes) {
      SCOPED_TRACE(::testing::Message() << size.m << "x" << size.n << "x" << size.k);
      const GemmOperands o(size);
      const PackedMatrix packed = pack(queue, o.b_matrix());
      for (const Activation activation :
           {Activation::none, Activation::gelu, Activation::gelu_tanh, Activation::quick_gelu,
            Activation::relu, Activation::silu, Activation::tanh, Activation::sigmoid,
            Activation::hard_swish}) {
        reference::GemmInput input = o.input();
        input.bias = to_double(o.bias);
        input.scale = to_double(o.scale);
        input.residual = to_double(o.residual);
        input.activation = activation;
        std::vector<float> c = o.residual;  // in place: the residual is C itself
        gemm(queue, o.a_matrix(), packed,
             {.data = c.data(),
              .row_stride = size.n,
              .epilogue = {.bias = o.bias.data(),
                           .activation = activation,
                           .column_scale = o.scale.data(),
                           .residual = c.data(),
                           .residual_stride = size.n}});
        EXPECT_LE(max_relative_error(c, reference::gemm(input)), 4 * sum_tolerance(size.k));
      }
    }
  });
}

TEST(Gemm, ReadsEitherOperandTransposedAndAccumulates) {
  for_each_isa([](Queue& queue) {
    for (const GemmSize& size : kGemmSizes) {
      const GemmOperands o(size);
      const std::vector<double> expected = reference::gemm(o.input());
      const std::vector<float> a_t = transpose(o.a, size.m, size.k);
      const std::vector<float> b_t = transpose(o.b, size.k, size.n);
      const Matrix a_transposed = Matrix::row_major(a_t.data(), size.k, size.m).transposed();
      const Matrix b_transposed = Matrix::row_major(b_t.data(), size.n, size.k).transposed();
      for (const Matrix& a : {o.a_matrix(), a_transposed})
        for (const Matrix& b : {o.b_matrix(), b_transposed}) {
          std::vector<float> c(size.m * size.n, 0.5f);
          gemm(queue, a, b, {.data = c.data(), .row_stride = size.n, .accumulate = true},
               workspace(a, b).raw());
          std::vector<double> sum = expected;
          for (double& x : sum) x += 0.5;
          EXPECT_LE(max_relative_error(c, sum), 4 * sum_tolerance(size.k));
        }
    }
  });
}

TEST(Gemm, ActivationsWithoutATileOfTheirOwnAreApplied) {
  for_each_isa([](Queue& queue) {
    const GemmOperands o({33, 100, 40});
    const PackedMatrix packed = pack(queue, o.b_matrix());
    for (const Activation activation : {Activation::relu6, Activation::softplus}) {
      reference::GemmInput input = o.input();
      input.activation = activation;
      std::vector<float> c(33 * 100);
      gemm(queue, o.a_matrix(), packed,
           {.data = c.data(), .row_stride = 100, .epilogue = {.activation = activation}});
      EXPECT_LE(max_relative_error(c, reference::gemm(input)), 4 * sum_tolerance(40));
    }
  });
}

TEST(Gemm, LeavesWhatLiesBetweenRowsAlone) {
  Queue queue(1);
  const GemmOperands o({7, 17, 9});
  std::vector<float> c(7 * 20, -3.0f);
  const PackedMatrix packed = pack(queue, o.b_matrix());
  gemm(queue, o.a_matrix(), packed, {.data = c.data(), .row_stride = 20});
  for (int64_t r = 0; r < 7; ++r)
    for (int64_t column = 17; column < 20; ++column) EXPECT_EQ(c[r * 20 + column], -3.0f);
}

TEST(Gemm, NeitherThreadsNorOtherRowsChangeAnElement) {
  const GemmOperands o({1581, 130, 300});
  const auto compute = [&](Queue& queue, int64_t first, int64_t rows) {
    std::vector<float> c(rows * 130);
    gemm(queue, Matrix::row_major(o.a.data() + first * 300, rows, 300), pack(queue, o.b_matrix()),
         {.data = c.data(), .row_stride = 130, .epilogue = {.bias = o.bias.data()}});
    return c;
  };
  expect_same_on_any_threads([&](Queue& queue) { return compute(queue, 0, 1581); });
  Queue queue(2);
  const std::vector<float> whole = compute(queue, 0, 1581);
  const std::vector<float> part = compute(queue, 700, 11);
  EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + 700 * 130));
}

}  // namespace
}  // namespace vitrail::kernels
