#include "kernels/reference/group_norm.h"

#include <algorithm>
#include <cmath>

namespace vitrail::kernels::reference {

std::vector<double> group_norm(const GroupNormInput& input) {
  const GroupNormSize& size = input.size;
  const int64_t width = size.channels / size.groups;
  const double count = static_cast<double>(size.pixels * width);
  std::vector<double> y(input.x.size());
  for (int64_t b = 0; b < size.batch; ++b)
    for (int64_t g = 0; g < size.groups; ++g) {
      const auto for_each = [&](auto body) {
        for (int64_t p = 0; p < size.pixels; ++p)
          for (int64_t c = g * width; c < (g + 1) * width; ++c)
            body((b * size.pixels + p) * size.channels + c, c);
      };
      double mean = 0, variance = 0;
      for_each([&](int64_t at, int64_t) { mean += input.x[at] / count; });
      for_each([&](int64_t at, int64_t) {
        variance += (input.x[at] - mean) * (input.x[at] - mean) / count;
      });
      for_each([&](int64_t at, int64_t c) {
        double value = (input.x[at] - mean) / std::sqrt(variance + input.epsilon) * input.gamma[c] +
                       input.beta[c];
        if (!input.residual.empty()) value += input.residual[at];
        y[at] = input.relu ? std::max(value, 0.0) : value;
      });
    }
  return y;
}

}  // namespace vitrail::kernels::reference
