#include "kernels/reference/adamw.h"

#include <cmath>

namespace vitrail::kernels::reference {

void adamw(AdamWState& state, const std::vector<double>& gradient, const AdamWArgs& args) {
  const double step = static_cast<double>(args.step);
  for (size_t i = 0; i < gradient.size(); ++i) {
    const double g = gradient[i] * args.gradient_scale;
    double& m = state.first_moment[i];
    double& v = state.second_moment[i];
    double& p = state.parameter[i];
    p *= 1 - args.learning_rate * args.weight_decay;
    m = args.beta1 * m + (1 - args.beta1) * g;
    v = args.beta2 * v + (1 - args.beta2) * g * g;
    const double m_hat = m / (1 - std::pow(args.beta1, step));
    const double v_hat = v / (1 - std::pow(args.beta2, step));
    p -= args.learning_rate * m_hat / (std::sqrt(v_hat) + args.epsilon);
  }
}

}  // namespace vitrail::kernels::reference
