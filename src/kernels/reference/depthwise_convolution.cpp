#include "kernels/reference/depthwise_convolution.h"

namespace vitrail::kernels::reference {
namespace {

// Calls body(place in y, place in x, place in the weight) for every product.
template <typename Body>
void for_each_product(const DepthwiseGeometry& g, const Body& body) {
  size_t y = 0;
  for (int64_t b = 0; b < g.batch; ++b)
    for (int64_t i = 0; i < g.out_height(); ++i)
      for (int64_t j = 0; j < g.out_width(); ++j)
        for (int64_t c = 0; c < g.channels; ++c, ++y)
          for (int64_t m = 0; m < g.kernel_height; ++m)
            for (int64_t n = 0; n < g.kernel_width; ++n) {
              const int64_t h = i * g.stride_height - g.padding_height + m * g.dilation_height;
              const int64_t w = j * g.stride_width - g.padding_width + n * g.dilation_width;
              if (h < 0 || h >= g.height || w < 0 || w >= g.width) continue;
              body(y, static_cast<size_t>(((b * g.height + h) * g.width + w) * g.channels + c),
                   static_cast<size_t>((m * g.kernel_width + n) * g.channels + c));
            }
}

}  // namespace

std::vector<double> depthwise_convolution(const DepthwiseGeometry& geometry,
                                          const std::vector<double>& x,
                                          const std::vector<double>& weight,
                                          const std::vector<double>& bias) {
  const DepthwiseGeometry& g = geometry;
  std::vector<double> y(static_cast<size_t>(g.batch * g.out_height() * g.out_width() * g.channels));
  if (!bias.empty())
    for (size_t i = 0; i < y.size(); ++i) y[i] = bias[i % bias.size()];
  for_each_product(g, [&](size_t to, size_t from, size_t tap) { y[to] += x[from] * weight[tap]; });
  return y;
}

DepthwiseGradients depthwise_gradients(const DepthwiseGeometry& geometry,
                                       const std::vector<double>& x,
                                       const std::vector<double>& weight,
                                       const std::vector<double>& dy) {
  DepthwiseGradients gradients{.x = std::vector<double>(x.size()),
                               .weight = std::vector<double>(weight.size()),
                               .bias = std::vector<double>(static_cast<size_t>(geometry.channels))};
  for_each_product(geometry, [&](size_t to, size_t from, size_t tap) {
    gradients.x[from] += dy[to] * weight[tap];
    gradients.weight[tap] += dy[to] * x[from];
  });
  for (size_t i = 0; i < dy.size(); ++i) gradients.bias[i % gradients.bias.size()] += dy[i];
  return gradients;
}

}  // namespace vitrail::kernels::reference
