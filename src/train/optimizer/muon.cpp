#include "train/optimizer/muon.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/elementwise.h"
#include "kernels/gemm.h"
#include "kernels/lerp.h"
#include "kernels/reduce.h"

namespace vitrail {
namespace {

using kernels::Matrix;

constexpr float kA = 3.4445f, kB = -4.7750f, kC = 2.0315f;
constexpr int kIterations = 5;
constexpr double kEpsilon = 1e-7;

Matrix matrix_of(const Tensor& tensor) {
  return Matrix::row_major(tensor.f32(), tensor.size(0), tensor.size(1));
}

// The root of the sum of all squares, at least kEpsilon.
double norm_of(Queue& queue, const Tensor& tensor) {
  double squares = 0;
  kernels::sum_squares(queue, tensor.numel(), tensor.f32(), &squares);
  return std::max(std::sqrt(squares), kEpsilon);
}

// a b, or added to `out`.
void multiply(Queue& queue, const Matrix& a, const Matrix& b, const Tensor& out, bool add = false) {
  const Tensor workspace = Tensor::empty({kernels::gemm_workspace(a, b)}, DType::u8);
  kernels::gemm(queue, a, b, {.data = out.f32(), .row_stride = out.size(1), .accumulate = add},
                workspace.raw());
}

}  // namespace

Tensor orthogonalised(Queue& queue, const Tensor& gradient) {
  const int64_t rows = gradient.size(0), columns = gradient.size(1);
  const int64_t side = std::min(rows, columns);
  Tensor x = Tensor::empty(gradient.shape()), next = Tensor::empty(gradient.shape());
  kernels::scale(queue, x.numel(), static_cast<float>(1 / norm_of(queue, gradient)), gradient.f32(),
                 x.f32());
  const Tensor gram = Tensor::empty({side, side}), polynomial = Tensor::empty({side, side});
  for (int i = 0; i < kIterations; ++i) {
    // The smaller of X X^T and X^T X; both commute with X in the same polynomial.
    const Matrix m = matrix_of(x);
    if (rows <= columns)
      multiply(queue, m, m.transposed(), gram);
    else
      multiply(queue, m.transposed(), m, gram);
    multiply(queue, matrix_of(gram), matrix_of(gram), polynomial);
    kernels::scale(queue, polynomial.numel(), kC, polynomial.f32(), polynomial.f32());
    kernels::add_scaled(queue, {.count = polynomial.numel(),
                                .a = polynomial.f32(),
                                .scale = kB,
                                .b = gram.f32(),
                                .out = polynomial.f32()});
    kernels::scale(queue, x.numel(), kA, x.f32(), next.f32());
    if (rows <= columns)
      multiply(queue, matrix_of(polynomial), m, next, true);
    else
      multiply(queue, m, matrix_of(polynomial), next, true);
    std::swap(x, next);
  }
  return x;
}

void muon(Queue& queue, Parameter& parameter, const Tensor& moment, const UpdateOf& u) {
  const int64_t count = parameter.shape().numel(), outputs = parameter.shape()[0];
  const double rows = static_cast<double>(outputs);
  const double columns = static_cast<double>(count / outputs);
  const Tensor gradient = parameter.gradient();
  const Tensor direction = Tensor::empty({outputs, count / outputs});
  const auto scale = static_cast<float>(u.gradient_scale);
  kernels::lerp(queue, std::array{kernels::LerpArgs{.count = count,
                                                    .x = moment.f32(),
                                                    .y = gradient.f32(),
                                                    .weight = 1 - u.options.momentum,
                                                    .y_scale = scale}});
  // g + momentum (m - g) is m + (1 - momentum) (g - m).
  kernels::lerp(
      queue, std::array{kernels::LerpArgs{.count = count,
                                          .x = moment.f32(),
                                          .y = gradient.f32(),
                                          .weight = u.options.nesterov ? 1 - u.options.momentum : 0,
                                          .y_scale = scale,
                                          .out = direction.f32()}});
  const double matched = u.options.match_adamw ? 0.2 * std::sqrt(std::max(rows, columns))
                                               : std::sqrt(std::max(1.0, rows / columns));
  double rate = u.learning_rate * u.trained.rate;
  double kept = 1 - rate * u.trained.weight_decay;
  rate *= matched;
  if (u.options.filter_rate > 0 &&
      parameter.role().muon == ParameterRole::Muon::normalised_filter) {
    kept = std::sqrt(rows) / norm_of(queue, parameter.value());
    rate = u.learning_rate * u.trained.rate * u.options.filter_rate;
  }
  float* p = parameter.value().f32();
  kernels::scale(queue, count, static_cast<float>(kept), p, p);
  kernels::add_scaled(queue, {.count = count,
                              .a = p,
                              .scale = static_cast<float>(-rate),
                              .b = orthogonalised(queue, direction).f32(),
                              .out = p});
}

}  // namespace vitrail
