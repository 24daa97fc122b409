#include "train/judge/accuracy_text.h"

#include <fmt/format.h>

#include "core/statistics.h"

namespace vitrail {

std::string accuracy_text(int64_t correct, int64_t pictures) {
  const Interval interval = wilson_interval(correct, pictures);
  const double accuracy =
      pictures == 0 ? 0 : static_cast<double>(correct) / static_cast<double>(pictures);
  return fmt::format("{:.1f}% (95% interval {:.1f}% to {:.1f}%) of {}", 100 * accuracy,
                     100 * interval.low, 100 * interval.high, pictures);
}

}  // namespace vitrail
