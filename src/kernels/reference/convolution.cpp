#include "kernels/reference/convolution.h"

#include <algorithm>
#include <limits>

namespace vitrail::kernels::reference {
namespace {

// The pixel (row, column) of a plane, or `outside` beyond its edge.
double pixel(const double* plane, int64_t height, int64_t width, int64_t row, int64_t column,
             double outside) {
  const bool inside = row >= 0 && row < height && column >= 0 && column < width;
  return inside ? plane[row * width + column] : outside;
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
                             ow * g.stride_width - g.padding_width + kw, 0);
          y.push_back(sum);
        }
  return y;
}

std::vector<double> max_pool2d(const PoolGeometry& g, const std::vector<double>& x) {
  std::vector<double> y;
  for (int64_t plane = 0; plane < g.planes; ++plane)
    for (int64_t oh = 0; oh < g.out_height(); ++oh)
      for (int64_t ow = 0; ow < g.out_width(); ++ow) {
        double best = -std::numeric_limits<double>::infinity();
        for (int64_t kh = 0; kh < g.kernel_height; ++kh)
          for (int64_t kw = 0; kw < g.kernel_width; ++kw)
            best = std::max(best, pixel(x.data() + plane * g.height * g.width, g.height, g.width,
                                        oh * g.stride_height - g.padding_height + kh,
                                        ow * g.stride_width - g.padding_width + kw,
                                        -std::numeric_limits<double>::infinity()));
        y.push_back(best);
      }
  return y;
}

std::vector<double> average_pool2d(const PoolGeometry& g, const std::vector<double>& x) {
  std::vector<double> y;
  for (int64_t plane = 0; plane < g.planes; ++plane)
    for (int64_t oh = 0; oh < g.out_height(); ++oh)
      for (int64_t ow = 0; ow < g.out_width(); ++ow) {
        double sum = 0;
        for (int64_t kh = 0; kh < g.kernel_height; ++kh)
          for (int64_t kw = 0; kw < g.kernel_width; ++kw)
            sum += pixel(x.data() + plane * g.height * g.width, g.height, g.width,
                         oh * g.stride_height - g.padding_height + kh,
                         ow * g.stride_width - g.padding_width + kw, 0);
        y.push_back(sum / static_cast<double>(g.kernel_height * g.kernel_width));
      }
  return y;
}

}  // namespace vitrail::kernels::reference
