#include "autograd/running_statistics.h"

#include <algorithm>

namespace vitrail {

void RunningStatistics::add(Parameter& mean, Parameter& variance, std::span<const float> batch_mean,
                            std::span<const float> batch_variance) {
  const size_t channels = batch_mean.size();
  auto layer = std::ranges::find(layers_, &mean, &Layer::mean);
  if (layer == layers_.end()) {
    layers_.push_back({&mean, &variance, sums_.size()});
    layer = layers_.end() - 1;
    sums_.resize(sums_.size() + 2 * channels + 1);
  }
  double* sum = sums_.data() + layer->at;
  for (size_t c = 0; c < channels; ++c) {
    sum[c] += batch_mean[c];
    sum[channels + c] += batch_variance[c];
  }
  sum[2 * channels] += 1;
}

void RunningStatistics::update(double share) {
  for (const Layer& layer : layers_) {
    const auto channels = static_cast<size_t>(layer.mean->shape().numel());
    const double* sum = sums_.data() + layer.at;
    const double batches = sum[2 * channels];
    if (batches == 0) continue;  // the layer ran in an earlier step, and not in this one
    for (Parameter* buffer : {layer.mean, layer.variance}) {
      Tensor moved = buffer->value().clone();
      for (float& running : moved.values())
        running = static_cast<float>(running + share * (*sum++ / batches - running));
      buffer->set_value(std::move(moved));
    }
  }
  clear();
}

void RunningStatistics::clear() {
  std::ranges::fill(sums_, 0.0);
}

}  // namespace vitrail
