#include "train/run/spikes.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace vitrail {
namespace {

constexpr size_t kKeptLosses = 100, kNeeded = 50;
constexpr const char* kName = "recent_losses";

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

}  // namespace

bool SpikeDetector::is_spike(double loss) const {
  if (threshold_ <= 0 || losses_.size() < kNeeded) return false;
  const double center = median(losses_);
  std::vector<double> deviations;
  for (const double value : losses_) deviations.push_back(std::abs(value - center));
  // 1.4826 MAD estimates the standard deviation of a normal distribution.
  return loss > center + threshold_ * 1.4826 * median(deviations) &&
         loss > 2 * *std::ranges::max_element(losses_);
}

bool SpikeDetector::skips(double loss) {
  if (is_spike(loss)) {
    if (++in_a_row_ <= limit_) return true;
    losses_.clear();
  }
  in_a_row_ = 0;
  if (losses_.size() == kKeptLosses) losses_.erase(losses_.begin());
  losses_.push_back(loss);
  return false;
}

NamedTensors SpikeDetector::state() const {
  Tensor values = Tensor::empty({static_cast<int64_t>(losses_.size()) + 1}, DType::f64);
  values.data<double>()[0] = static_cast<double>(in_a_row_);
  std::ranges::copy(losses_, values.data<double>() + 1);
  return {{kName, values}};
}

void SpikeDetector::load(const TensorSource& tensors) {
  const Tensor values = tensors.tensor(kName);
  check(values.dtype() == DType::f64 && values.rank() == 1 && values.numel() >= 1 &&
            values.numel() <= static_cast<int64_t>(kKeptLosses) + 1,
        "checkpoint", "{}: {} is {} {}", tensors.place(), kName, name_of(values.dtype()),
        values.shape().str());
  constexpr double kMostInARow = 1e9;
  const double in_a_row = values.data<double>()[0];
  check(in_a_row >= 0 && in_a_row <= kMostInARow && in_a_row == std::floor(in_a_row), "checkpoint",
        "{}: {} counts {} steps in a row", tensors.place(), kName, in_a_row);
  in_a_row_ = static_cast<int64_t>(in_a_row);
  losses_.assign(values.data<double>() + 1, values.data<double>() + values.numel());
}

}  // namespace vitrail
