// The instruction set of the kernels is the whole program's: core/isa.h.
#pragma once

#include "core/isa.h"

namespace vitrail::kernels {

using vitrail::active_isa;
using vitrail::available_isas;
using vitrail::force_isa;

}  // namespace vitrail::kernels
