#include "kernels/reference/activation.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace vitrail::kernels::reference {
namespace {

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

const double kTanhScale = std::sqrt(2 / std::numbers::pi);

}  // namespace

double activation(Activation kind, double x) {
  switch (kind) {
    case Activation::none:
      return x;
    case Activation::gelu:
      return x * std::erfc(-x / std::numbers::sqrt2) / 2;
    case Activation::gelu_tanh:
      return x / 2 * (1 + std::tanh(kTanhScale * (x + 0.044715 * x * x * x)));
    case Activation::quick_gelu:
      return x * sigmoid(1.702 * x);
    case Activation::relu:
      return x > 0 ? x : 0;
    case Activation::silu:
      return x * sigmoid(x);
    case Activation::tanh:
      return std::tanh(x);
    case Activation::relu6:
      return std::clamp(x, 0.0, 6.0);
    case Activation::sigmoid:
      return sigmoid(x);
    case Activation::softplus:
      return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x)));
    case Activation::hard_sigmoid:
      return std::clamp(x + 3, 0.0, 6.0) / 6;
    case Activation::hard_swish:
      return x * std::clamp(x + 3, 0.0, 6.0) / 6;
  }
  return 0;
}

double activation_derivative(Activation kind, double x) {
  switch (kind) {
    case Activation::none:
      return 1;
    case Activation::gelu:
      return std::erfc(-x / std::numbers::sqrt2) / 2 +
             x * std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi);
    case Activation::gelu_tanh: {
      const double t = std::tanh(kTanhScale * (x + 0.044715 * x * x * x));
      return (1 + t) / 2 + x / 2 * (1 - t * t) * kTanhScale * (1 + 3 * 0.044715 * x * x);
    }
    case Activation::quick_gelu: {
      const double s = sigmoid(1.702 * x);
      return s + 1.702 * x * s * (1 - s);
    }
    case Activation::relu:
      return x > 0 ? 1 : 0;
    case Activation::silu: {
      const double s = sigmoid(x);
      return s + x * s * (1 - s);
    }
    case Activation::tanh:
      return 1 - std::tanh(x) * std::tanh(x);
    case Activation::relu6:
      return x > 0 && x < 6 ? 1 : 0;
    case Activation::sigmoid:
      return sigmoid(x) * sigmoid(-x);
    case Activation::softplus:
      return sigmoid(x);
    case Activation::hard_sigmoid:
      return std::abs(x) < 3 ? 1.0 / 6 : 0;
    case Activation::hard_swish:
      return x <= -3 ? 0 : x >= 3 ? 1 : x / 3 + 0.5;
  }
  return 0;
}

}  // namespace vitrail::kernels::reference
