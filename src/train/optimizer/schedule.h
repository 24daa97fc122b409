// The learning rate over a run.
#pragma once

#include <cstdint>
#include <string>

namespace vitrail {

enum class ScheduleKind : uint8_t {
  cosine,     // half a cosine (Loshchilov and Hutter, "SGDR", 2017, without restarts)
  one_cycle,  // up and down by half a cosine each (Smith and Topin, "Super-convergence", 2018)
  step,       // times decay_rate every decay_steps, counted from the end of warm-up
  linear,
  constant,
};
ScheduleKind schedule_from_name(const std::string& name);  // Error: the names that there are

struct Schedule {
  ScheduleKind kind = ScheduleKind::cosine;
  double learning_rate = 1e-3;      // the peak
  double min_learning_rate = 1e-5;  // at the end
  int64_t warmup_steps = 0;         // not of one_cycle, which warms up by itself
  // Where warm-up begins, as timm's warmup_lr; 0: at peak / warmup_steps, so that no step is lost.
  double warmup_learning_rate = 0;
  int64_t cooldown_steps = 0;  // the last of total_steps stay at min_learning_rate
  int64_t total_steps = 1;
  double one_cycle_rise = 0.3;    // part of the run that goes up (torch's pct_start)
  double one_cycle_divisor = 25;  // peak over start (torch's div_factor)
  int64_t decay_steps = 1;
  double decay_rate = 0.1;

  // `step` counts from 0. With progress running from 0 after warm-up to 1 before cool-down, cosine
  // is min + (peak - min) / 2 * (1 + cos(pi * progress)): timm's CosineLRScheduler, and its
  // StepLRScheduler, with warmup_prefix. One-cycle is torch's OneCycleLR with two phases. Step and
  // constant never reach min_learning_rate but in cool-down.
  double at(int64_t step) const;
};

}  // namespace vitrail
