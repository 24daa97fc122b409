#include "train/optimizer/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"

namespace vitrail {
namespace {

// From `from` at 0 to `to` at 1, along half a cosine.
double half_cosine(double from, double to, double progress) {
  return to + 0.5 * (from - to) * (1.0 + std::cos(std::numbers::pi * std::min(1.0, progress)));
}

}  // namespace

ScheduleKind schedule_from_name(const std::string& name) {
  if (name == "cosine") return ScheduleKind::cosine;
  if (name == "one_cycle") return ScheduleKind::one_cycle;
  if (name == "step") return ScheduleKind::step;
  if (name == "linear") return ScheduleKind::linear;
  if (name == "constant") return ScheduleKind::constant;
  fail("training config",
       "schedule is '{}'; there are cosine, one_cycle, step, linear and constant", name);
}

double Schedule::at(int64_t step) const {
  const int64_t length = std::max<int64_t>(1, total_steps - cooldown_steps);
  if (cooldown_steps > 0 && step >= length) return min_learning_rate;
  const auto now = static_cast<double>(step);
  if (kind == ScheduleKind::one_cycle) {
    const double last = static_cast<double>(length) - 1;
    const double top = std::max(1e-9, one_cycle_rise * static_cast<double>(length) - 1);
    if (now <= top) return half_cosine(learning_rate / one_cycle_divisor, learning_rate, now / top);
    return half_cosine(learning_rate, min_learning_rate, (now - top) / (last - top));
  }
  const auto warmup = static_cast<double>(warmup_steps);
  if (step < warmup_steps && warmup_learning_rate > 0)
    return warmup_learning_rate + now * (learning_rate - warmup_learning_rate) / warmup;
  if (step < warmup_steps) return learning_rate * (now + 1) / warmup;
  const auto decay = static_cast<double>(std::max<int64_t>(1, length - warmup_steps));
  const double progress = std::min(1.0, (now - warmup) / decay);
  switch (kind) {
    case ScheduleKind::cosine:
      return half_cosine(learning_rate, min_learning_rate, progress);
    case ScheduleKind::linear:
      return learning_rate + (min_learning_rate - learning_rate) * progress;
    case ScheduleKind::step:
      return learning_rate *
             std::pow(decay_rate, static_cast<double>((step - warmup_steps) /
                                                      std::max<int64_t>(1, decay_steps)));
    case ScheduleKind::constant:
    case ScheduleKind::one_cycle:
      return learning_rate;
  }
  fail("train", "unknown schedule");
}

}  // namespace vitrail
