#include "kernels/reference/convolution.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace vitrail::kernels::reference {
namespace {

// The pixel (row, column) of a plane, or zero beyond its edge.
double pixel(const double* plane, int64_t height, int64_t width, int64_t row, int64_t column) {
  const bool inside = row >= 0 && row < height && column >= 0 && column < width;
  return inside ? plane[row * width + column] : 0;
}

}  // namespace

std::vector<double> conv2d(const UnfoldGeometry& g, const std::vector<double>& x,
                           const std::vector<double>& weight, const std::vector<double>& bias) {
  const int64_t outputs = static_cast<int64_t>(weight.size()) / g.columns();
  std::vector<double> y;
  for (int64_t b = 0; b < g.batch; ++b)
    for (int64_t o = 0; o < outputs; ++o)
      for (int64_t oh = 0; oh < g.out_height(); ++oh)
        for (int64_t ow = 0; ow < g.out_width(); ++ow) {
          double sum = bias.empty() ? 0 : bias[static_cast<size_t>(o)];
          for (int64_t c = 0; c < g.channels; ++c)
            for (int64_t kh = 0; kh < g.kernel_height; ++kh)
              for (int64_t kw = 0; kw < g.kernel_width; ++kw)
                sum += weight[static_cast<size_t>(
                           ((o * g.channels + c) * g.kernel_height + kh) * g.kernel_width + kw)] *
                       pixel(x.data() + (b * g.channels + c) * g.height * g.width, g.height,
                             g.width, oh * g.stride_height - g.padding_height + kh,
                             ow * g.stride_width - g.padding_width + kw);
          y.push_back(sum);
        }
  return y;
}

namespace {

// finish(taps) for the pixels of every window and channel, `outside` standing for padding.
template <typename Finish>
std::vector<double> pooled(const PoolGeometry& g, const std::vector<double>& x, double outside,
                           const Finish& finish) {
  std::vector<double> y;
  for (int64_t b = 0; b < g.batch; ++b)
    for (int64_t oh = 0; oh < g.out_height(); ++oh)
      for (int64_t ow = 0; ow < g.out_width(); ++ow)
        for (int64_t c = 0; c < g.channels; ++c) {
          std::vector<double> taps;
          for (int64_t kh = 0; kh < g.kernel_height; ++kh)
            for (int64_t kw = 0; kw < g.kernel_width; ++kw) {
              const int64_t h = oh * g.stride_height - g.padding_height + kh;
              const int64_t w = ow * g.stride_width - g.padding_width + kw;
              const bool inside = h >= 0 && h < g.height && w >= 0 && w < g.width;
              const int64_t at = ((b * g.height + h) * g.width + w) * g.channels + c;
              taps.push_back(inside ? x[static_cast<size_t>(at)] : outside);
            }
          y.push_back(finish(taps));
        }
  return y;
}

}  // namespace

std::vector<double> max_pool2d(const PoolGeometry& g, const std::vector<double>& x) {
  return pooled(g, x, -std::numeric_limits<double>::infinity(),
                [](const auto& taps) { return *std::ranges::max_element(taps); });
}

std::vector<double> average_pool2d(const PoolGeometry& g, const std::vector<double>& x) {
  return pooled(g, x, 0, [](const auto& taps) {
    return std::accumulate(taps.begin(), taps.end(), 0.0) / static_cast<double>(taps.size());
  });
}

}  // namespace vitrail::kernels::reference
