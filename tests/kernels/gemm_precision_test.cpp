// The products of lower precision: exact integers and correctly rounded bf16, on every target.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/dispatch.h"
#include "kernels/gemm_bf16.h"
#include "kernels/gemm_int8.h"
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

struct Size {
  int64_t m, n, k;
};
const Size kSizes[] = {{1, 1, 1},     {2, 7, 3},      {7, 17, 257},   {13, 33, 64},  {8, 48, 255},
                       {197, 65, 31}, {65, 100, 513}, {1, 1000, 192}, {33, 49, 1030}};

struct Operands {
  explicit Operands(const Size& s)
      : size(s),
        a(random_floats(s.m * s.k, 1)),
        weight(random_floats(s.n * s.k, 2)),
        bias(random_floats(s.n, 3)),
        residual(random_floats(s.m * s.n, 4)) {}
  Matrix a_matrix() const { return Matrix::row_major(a.data(), size.m, size.k); }
  Matrix b_matrix() const { return Matrix::row_major(weight.data(), size.n, size.k).transposed(); }
  GemmOutput output(std::vector<float>& c) const {
    return {.data = c.data(),
            .row_stride = size.n,
            .epilogue = {.bias = bias.data(),
                         .activation = activation,
                         .residual = residual.empty() ? nullptr : residual.data(),
                         .residual_stride = size.n}};
  }
  reference::GemmInput expected(const std::vector<double>& left,
                                const std::vector<double>& right) const {
    reference::GemmInput input{.m = size.m,
                               .n = size.n,
                               .k = size.k,
                               .a = left,
                               .b = std::vector<double>(size.k * size.n)};
    for (int64_t n = 0; n < size.n; ++n)
      for (int64_t k = 0; k < size.k; ++k) input.b[k * size.n + n] = right[n * size.k + k];
    input.bias = to_double(bias);
    input.residual = to_double(residual);
    input.activation = activation;
    return input;
  }
  Size size;
  std::vector<float> a, weight, bias, residual;
  Activation activation = Activation::silu;
};

std::vector<double> rounded(const std::vector<float>& x) {
  std::vector<double> out;
  for (const float value : x) out.push_back(bf16_to_f32(f32_to_bf16(value)));
  return out;
}

std::vector<float> f32_product(Queue& queue, const Operands& o, const LeftOperand& a) {
  std::vector<float> c(a.a.rows * o.size.n);
  gemm(queue, a.a, pack(queue, o.b_matrix()), o.output(c));
  return c;
}

std::vector<float> int8_product(Queue& queue, const Operands& o, const LeftOperand& a) {
  const PackedInt8 packed =
      pack_int8(queue, quantize_weight(queue, o.weight.data(), o.size.n, o.size.k));
  std::vector<float> c(a.a.rows * o.size.n);
  const Tensor workspace = Tensor::empty({gemm_int8_workspace(a.a.rows, packed)}, DType::u8);
  gemm_int8(queue, a, packed, o.output(c), workspace.raw());
  return c;
}

std::vector<float> bf16_product(Queue& queue, const Operands& o, const LeftOperand& a) {
  const PackedBf16 packed = pack_bf16(queue, o.b_matrix());
  std::vector<float> c(a.a.rows * o.size.n);
  const Tensor workspace = Tensor::empty({gemm_bf16_workspace(a.a.rows, packed)}, DType::u8);
  gemm_bf16(queue, a, packed, o.output(c), workspace.raw());
  return c;
}

// The contract of gemm_int8.h in double, a value at a time.
std::vector<double> quantized_rows(const std::vector<float>& x, int64_t rows, int64_t k) {
  std::vector<double> out(x.size());
  for (int64_t r = 0; r < rows; ++r) {
    float low = 0, high = 0;
    for (int64_t i = 0; i < k; ++i) {
      low = std::min(low, x[r * k + i]);
      high = std::max(high, x[r * k + i]);
    }
    const float inverse = high > low ? 255.0f / (high - low) : 0.0f;
    const double scale = (high - low) / 255.0f, zero = std::nearbyint(-low * inverse);
    for (int64_t i = 0; i < k; ++i)
      out[r * k + i] =
          scale *
          (std::clamp<double>(std::nearbyint(x[r * k + i] * inverse) + zero, 0, 255) - zero);
  }
  return out;
}

TEST(GemmInt8, AgreesWithTheQuantizedOperandsMultipliedInDouble) {
  for (const Size& size : kSizes) {
    SCOPED_TRACE(::testing::Message() << size.m << "x" << size.n << "x" << size.k);
    const Operands o(size);
    Queue one(1);
    const QuantizedWeight weight = quantize_weight(one, o.weight.data(), size.n, size.k);
    std::vector<float> weights(size.n * size.k);
    dequantize_weight(one, weight, weights.data());
    const std::vector<double> expected =
        reference::gemm(o.expected(quantized_rows(o.a, size.m, size.k), to_double(weights)));
    std::vector<float> first;
    for_each_isa([&](Queue& queue) {
      const std::vector<float> c = int8_product(queue, o, o.a_matrix());
      // The integers are exact: what is left is the rounding of a few float operations.
      EXPECT_LE(max_relative_error(c, expected), 1e-6);
      // Targets differ in what they fuse in SiLU and in nothing else.
      if (first.empty()) first = c;
      EXPECT_LE(max_relative_error(c, to_double(first)), 1e-6);
    });
  }
}

TEST(GemmInt8, WeightsRoundToTheNearestStepOfTheirOutput) {
  Queue queue(2);
  const std::vector<float> weight = random_floats(5 * 33, 9);
  const QuantizedWeight quantized = quantize_weight(queue, weight.data(), 5, 33);
  std::vector<float> back(weight.size());
  dequantize_weight(queue, quantized, back.data());
  for (int64_t i = 0; i < 5 * 33; ++i) {
    const float step = quantized.scales.f32()[i / 33];
    EXPECT_LE(std::abs(back[i] - weight[i]), step * 0.5001f);
  }
}

// The widest products that there are: saturating 16-bit shortcuts would lose them.
TEST(GemmInt8, NeverSaturates) {
  constexpr int64_t kDepth = 4096;
  const std::vector<float> a(kDepth, 1.0f), weight(kDepth, 1.0f);
  for_each_isa([&](Queue& queue) {
    const PackedInt8 packed = pack_int8(queue, quantize_weight(queue, weight.data(), 1, kDepth));
    const Tensor workspace = Tensor::empty({gemm_int8_workspace(1, packed)}, DType::u8);
    float c = 0;
    gemm_int8(queue, Matrix::row_major(a.data(), 1, kDepth), packed, {.data = &c, .row_stride = 1},
              workspace.raw());
    EXPECT_NEAR(c, 4096.0f, 0.01f);
  });
}

// Files of others may hold -128, and at any address.
TEST(GemmInt8, TheLeastIntegerFitsTheDeepestProduct) {
  const std::vector<float> a(kMaxInt8Depth, 1.0f);
  const Tensor bytes = Tensor::empty({kMaxInt8Depth + 1}, DType::i8);
  std::fill_n(bytes.data<int8_t>(), bytes.numel(), int8_t{-128});
  const QuantizedWeight weight{
      .values = Tensor::over(bytes.storage(), 1, {1, kMaxInt8Depth}, DType::i8),
      .scales = Tensor::full({1}, 1.0f)};
  const double expected = -128.0 * kMaxInt8Depth;
  for_each_isa([&](Queue& queue) {
    const PackedInt8 packed = pack_int8(queue, weight);
    const Tensor workspace = Tensor::empty({gemm_int8_workspace(1, packed)}, DType::u8);
    float c = 0;
    gemm_int8(queue, Matrix::row_major(a.data(), 1, kMaxInt8Depth), packed,
              {.data = &c, .row_stride = 1}, workspace.raw());
    EXPECT_NEAR(c, expected, -1e-6 * expected);
  });
}

TEST(GemmInt8, PacksTheSameFromAnyAddress) {
  Queue queue(1);
  constexpr int64_t kOutputs = 100, kInputs = 64;
  const std::vector<float> floats = random_floats(kOutputs * kInputs, 3);
  const QuantizedWeight weight = quantize_weight(queue, floats.data(), kOutputs, kInputs);
  const PackedInt8 expected = pack_int8(queue, weight);
  const Tensor room = Tensor::empty({kOutputs * kInputs + 3}, DType::i8);
  for (const size_t offset : {1, 2, 3}) {
    const Tensor moved = Tensor::over(room.storage(), offset, {kOutputs, kInputs}, DType::i8);
    std::copy_n(weight.values.data<int8_t>(), moved.numel(), moved.data<int8_t>());
    const PackedInt8 packed = pack_int8(queue, {moved, weight.scales});
    EXPECT_EQ(std::memcmp(packed.panels.raw(), expected.panels.raw(), expected.panels.bytes()), 0);
    EXPECT_EQ(std::memcmp(packed.sums.raw(), expected.sums.raw(), expected.sums.bytes()), 0);
  }
}

TEST(GemmInt8, ValuesThatAreNotFiniteAreNotHidden) {
  const Operands o({3, 20, 40});
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    std::vector<float> a = o.a;
    a[1 * 40 + 37] = bad;
    for_each_isa([&](Queue& queue) {
      const std::vector<float> c = int8_product(queue, o, Matrix::row_major(a.data(), 3, 40));
      for (int64_t n = 0; n < 20; ++n) {
        EXPECT_TRUE(std::isnan(c[20 + n]));
        EXPECT_TRUE(std::isfinite(c[n]) && std::isfinite(c[40 + n]));
      }
    });
  }
}

// Dot products take A rounded, too; products in f32 take it as it is.
TEST(GemmBf16, AgreesWithRoundedOperandsMultipliedInDouble) {
  for (const Size& size : kSizes) {
    SCOPED_TRACE(::testing::Message() << size.m << "x" << size.n << "x" << size.k);
    const Operands o(size);
    const std::vector<double> both = reference::gemm(o.expected(rounded(o.a), rounded(o.weight)));
    const std::vector<double> weight =
        reference::gemm(o.expected(to_double(o.a), rounded(o.weight)));
    for_each_isa([&](Queue& queue) {
      EXPECT_LE(max_relative_error(bf16_product(queue, o, o.a_matrix()),
                                   dot_products().bf16 ? both : weight),
                4 * sum_tolerance(size.k));
    });
  }
}

// Rows normalised on the way in are the rows that layer_norm writes, to the bit.
TEST(GemmPrecision, NormOnTheWayInIsTheNormBefore) {
  const Operands o({37, 70, 131});
  const std::vector<float> gamma = random_floats(131, 7), beta = random_floats(131, 8);
  const RowNorm norm{.epsilon = 1e-6f, .gamma = gamma.data(), .beta = beta.data()};
  for_each_isa([&](Queue& queue) {
    std::vector<float> normalised(o.a.size());
    layer_norm(queue, {.rows = 37,
                       .dim = 131,
                       .epsilon = norm.epsilon,
                       .x = o.a.data(),
                       .x_stride = 131,
                       .gamma = gamma.data(),
                       .beta = beta.data(),
                       .y = normalised.data(),
                       .y_stride = 131});
    const Matrix before = Matrix::row_major(normalised.data(), 37, 131);
    EXPECT_EQ(int8_product(queue, o, LeftOperand(o.a_matrix(), norm)),
              int8_product(queue, o, before));
    EXPECT_EQ(bf16_product(queue, o, LeftOperand(o.a_matrix(), norm)),
              bf16_product(queue, o, before));
  });
}

// A training step packs both orientations of a weight, and keeps rounded rows: everywhere.
TEST(GemmBf16, EitherOrientationAndRowsRoundedBeforeGiveTheSameBits) {
  for_each_isa([&](Queue& queue) {
    for (const Size& size : kSizes) {
      SCOPED_TRACE(::testing::Message() << size.m << "x" << size.n << "x" << size.k);
      Operands o(size);
      for (float& value : o.a) value = bf16_to_f32(f32_to_bf16(value));
      std::vector<float> turned(o.weight.size());
      for (int64_t n = 0; n < size.n; ++n)
        for (int64_t k = 0; k < size.k; ++k) turned[k * size.n + n] = o.weight[n * size.k + k];
      const PackedBf16 packed = pack_bf16(queue, Matrix::row_major(turned.data(), size.k, size.n));
      std::vector<float> c(size.m * size.n);
      gemm_bf16(queue, round_rows(queue, o.a_matrix()), packed, o.output(c));
      EXPECT_TRUE(c == bf16_product(queue, o, o.a_matrix()));
    }
  });
}

// One product of one term, exact in bf16: what is left is the cheap GELU.
TEST(GemmBf16, CoarseGeluKeepsItsPromise) {
  std::vector<float> x, y;
  for (float at = -12; at <= 12; at += 0x1p-6f) x.push_back(bf16_to_f32(f32_to_bf16(at)));
  y.resize(x.size());
  const float one = 1;
  for_each_isa([&](Queue& queue) {
    const PackedBf16 packed = pack_bf16(queue, Matrix::row_major(&one, 1, 1));
    const auto rows = static_cast<int64_t>(x.size());
    const Tensor workspace = Tensor::empty({gemm_bf16_workspace(rows, packed)}, DType::u8);
    gemm_bf16(queue, Matrix::row_major(x.data(), rows, 1), packed,
              {.data = y.data(), .row_stride = 1, .epilogue = {.activation = Activation::gelu}},
              workspace.raw());
    double worst = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double exact = x[i] / 2 * (1 + std::erf(double(x[i]) / std::sqrt(2.0)));
      // Beyond 4 a share of 1e-5 is missing, a hundredth of bf16's rounding.
      worst = std::max(worst, std::abs(y[i] - exact) / std::max(1.0f, x[i] / 4));
    }
    EXPECT_LE(worst, 1.7e-4);
  });
}

// Clamping to a limit is where a NaN gets lost: x86's maximum gives the second operand, Arm's the
// number.
TEST(GemmPrecision, NoActivationHidesANaN) {
  for_each_isa([&](Queue& queue) {
    for (const Activation kind : {Activation::gelu, Activation::gelu_tanh, Activation::quick_gelu,
                                  Activation::relu, Activation::silu, Activation::tanh})
      for (const auto product : {f32_product, bf16_product, int8_product}) {
        Operands o({20, 70, 40});
        o.activation = kind;
        o.residual.clear();
        o.a[1 * 40 + 37] = std::numeric_limits<float>::quiet_NaN();
        const std::vector<float> c = product(queue, o, o.a_matrix());
        for (int64_t m = 0; m < 20; ++m)
          for (int64_t n = 0; n < 70; ++n)
            ASSERT_EQ(std::isnan(c[m * 70 + n]), m == 1) << int(kind) << " at " << m << ", " << n;
      }
  });
}

TEST(GemmPrecision, NeitherThreadsNorOtherRowsChangeAnElement) {
  const Operands o({581, 130, 300});
  for (const auto product : {int8_product, bf16_product}) {
    const std::vector<float> whole = [&] {
      Queue queue(1);
      return product(queue, o, o.a_matrix());
    }();
    expect_same_on_any_threads([&](Queue& queue) { return product(queue, o, o.a_matrix()); });
    Operands part = o;
    part.residual.erase(part.residual.begin(), part.residual.begin() + 300 * 130);
    Queue queue(2);
    const std::vector<float> c =
        product(queue, part, Matrix::row_major(o.a.data() + 300 * 300, 11, 300));
    EXPECT_TRUE(std::equal(c.begin(), c.end(), whole.begin() + 300 * 130));
  }
}

}  // namespace
}  // namespace vitrail::kernels
