#include "kernels/reference/optimizers.h"

namespace vitrail::kernels::reference {

void sgd(SgdState& state, const std::vector<double>& gradient, const SgdArgs& args) {
  for (size_t i = 0; i < gradient.size(); ++i) {
    double& p = state.parameter[i];
    double& b = state.momentum_buffer[i];
    const double g = gradient[i] * args.gradient_scale + args.weight_decay * p;
    b = args.momentum * b + g;
    p -= args.learning_rate * (args.nesterov ? g + args.momentum * b : b);
  }
}

std::vector<double> lerp(const std::vector<double>& x, const std::vector<double>& y,
                         double weight) {
  std::vector<double> out;
  for (size_t i = 0; i < x.size(); ++i) out.push_back(x[i] + weight * (y[i] - x[i]));
  return out;
}

}  // namespace vitrail::kernels::reference
