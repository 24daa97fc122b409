// Double-precision softmax and cross-entropy.
#pragma once

#include <cstdint>
#include <vector>

namespace vitrail::kernels::reference {

// Softmax of rows of `classes` values.
std::vector<double> softmax(const std::vector<double>& x, int64_t classes);

// -sum_c t_c log softmax(logits)_c for each row; targets t [rows, classes] as they stand.
std::vector<double> cross_entropy(const std::vector<double>& logits,
                                  const std::vector<double>& targets, int64_t classes);

// sum_c max(x, 0) - x t + log(1 + exp(-|x|)) for each row.
std::vector<double> binary_cross_entropy(const std::vector<double>& logits,
                                         const std::vector<double>& targets, int64_t classes);

// The targets of class labels, and of soft targets, with label smoothing.
std::vector<double> smoothed_labels(const std::vector<int64_t>& labels, int64_t classes,
                                    double smoothing);
std::vector<double> smoothed(std::vector<double> targets, int64_t classes, double smoothing);

}  // namespace vitrail::kernels::reference
