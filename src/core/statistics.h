// How sure a measured share is.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace vitrail {

struct Interval {
  double low = 0, high = 1;
};

// The 95% interval of a share of `hits` in `count` independent trials (Wilson, "Probable inference,
// the law of succession, and statistical inference", 1927): it stays within [0, 1] and is right
// also near its ends. Without trials [0, 1].
inline Interval wilson_interval(int64_t hits, int64_t count) {
  if (count <= 0) return {};
  constexpr double kZ = 1.959963984540054;  // the normal distribution's 97.5% quantile
  const auto n = static_cast<double>(count);
  const double share = static_cast<double>(hits) / n, z2 = kZ * kZ;
  const double middle = (share + z2 / (2 * n)) / (1 + z2 / n);
  const double half = kZ / (1 + z2 / n) * std::sqrt(share * (1 - share) / n + z2 / (4 * n * n));
  // Rounding must not move the ends that are exact.
  return {hits == 0 ? 0 : std::max(0.0, middle - half),
          hits == count ? 1 : std::min(1.0, middle + half)};
}

}  // namespace vitrail
