// Double-precision losses beside cross-entropy.
#pragma once

#include <cstdint>
#include <vector>

namespace vitrail::kernels::reference {

// T^2 sum_c q_c (log q_c - log p_c) for each row, with p and q the softmax of logits / T and
// teacher / T (Hinton et al. 2015, section 2).
std::vector<double> kl_divergence(const std::vector<double>& logits,
                                  const std::vector<double>& teacher, int64_t classes,
                                  double temperature);

// The mean of (a - b)^2 over all elements.
double mean_squared_error(const std::vector<double>& a, const std::vector<double>& b);

}  // namespace vitrail::kernels::reference
