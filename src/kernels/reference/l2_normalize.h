// Double-precision normalisation of rows.
#pragma once

#include <cstdint>
#include <vector>

namespace vitrail::kernels::reference {

// gain x / max(|x|, epsilon) for rows of `dim` values; an empty gain is ones.
std::vector<double> l2_normalize(const std::vector<double>& x, const std::vector<double>& gain,
                                 int64_t dim, double epsilon);

}  // namespace vitrail::kernels::reference
