#include "kernels/reference/gemm.h"

#include "kernels/reference/activation.h"

namespace vitrail::kernels::reference {

std::vector<double> gemm(const GemmInput& in) {
  std::vector<double> c(static_cast<size_t>(in.m * in.n));
  for (int64_t i = 0; i < in.m; ++i)
    for (int64_t j = 0; j < in.n; ++j) {
      double x = 0;
      for (int64_t k = 0; k < in.k; ++k) x += in.a[i * in.k + k] * in.b[k * in.n + j];
      if (!in.bias.empty()) x += in.bias[j];
      x = activation(in.activation, x);
      if (!in.scale.empty()) x *= in.scale[j];
      if (!in.residual.empty()) x += in.residual[i * in.n + j];
      c[i * in.n + j] = x;
    }
  return c;
}

}  // namespace vitrail::kernels::reference
