// Double-precision activations.
#pragma once

#include "kernels/activation.h"

namespace vitrail::kernels::reference {

double activation(Activation kind, double x);
// In closed form.
double activation_derivative(Activation kind, double x);

}  // namespace vitrail::kernels::reference
