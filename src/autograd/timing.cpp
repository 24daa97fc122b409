#include "autograd/timing.h"

namespace vitrail {

bool Timings::begin(const Context& context, const Work& work) {
  if (!open_.empty() && work.path.empty()) {
    entries_[open_.back().entry].multiply_adds += work.multiply_adds;
    return false;
  }
  Precision precision = Precision::f32;
  if (work.precision)
    precision = *work.precision;
  else if (context.precision != nullptr)
    precision = context.precision->of(work.path);
  entries_.push_back({.operation = work.operation,
                      .path = std::string(work.path),
                      .multiply_adds = work.multiply_adds,
                      .precision = precision});
  open_.push_back({.entry = entries_.size() - 1, .start = Clock::now()});
  return true;
}

void Timings::end() {
  const Open open = open_.back();
  open_.pop_back();
  const double seconds = std::chrono::duration<double>(Clock::now() - open.start).count();
  entries_[open.entry].seconds = seconds - open.inside;
  if (!open_.empty()) open_.back().inside += seconds;
}

}  // namespace vitrail
